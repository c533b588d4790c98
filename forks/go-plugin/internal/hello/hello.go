// SPDX-License-Identifier: MPL-2.0

// Package hello is the handshake that a host and a network plugin exchange at
// the start of a connection, before net/rpc or gRPC begins. A child process
// says what it serves on its standard output; a plugin in another pod has no
// standard output that the host could read, so the same facts travel on the
// connection itself: one line each way, in plain JSON.
//
//	host   -> plugin: go-plugin/1 {"core":1,"cookie":{…},"versions":[1],…}
//	plugin -> host:   go-plugin/1 {"answer":{…}}   or   go-plugin/1 {"refusal":{…}}
//
// PROTOCOL.md in the root of the repository specifies it; testdata holds golden lines.
package hello

// Prefix starts every line of the handshake. No other protocol that a plugin
// port may meet (TLS, yamux, HTTP) begins with these bytes.
const Prefix = "go-plugin/"

// Core is the version of the handshake that this package speaks. It is the
// CORE-PROTOCOL-VERSION of the line that a child process prints, moved onto the wire.
const Core = 1

// The protocols of a session, as the handshake spells them.
const (
	NetRPC = "netrpc"
	GRPC   = "grpc"
)

// The features that this version knows: parts of the protocol that a host may ask for.
// PROTOCOL.md describes them.
const (
	FeatureGoAway = "goaway"
	FeatureMux    = "mux"
)

// Bounds of one line in bytes, newline included.
const (
	MaxRequest = 16 << 10
	MaxAnswer  = 64 << 10
)

// Bounds within a line. They keep a peer from filling logs and tables with
// what fits the line but makes no sense.
const (
	maxVersions = 64
	maxNames    = 16   // protocols, features
	maxText     = 1024 // bytes of any one string
)

// Cookie is the magic cookie of a HandshakeConfig. It tells a user that a host
// and a plugin were not made for each other. It is no secret and no
// authentication: anyone who reads the plugin's source knows it.
type Cookie struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Request is what a host says first.
type Request struct {
	// Core is the handshake version; WriteRequest fills it in.
	Core int `json:"core"`
	// Cookie is the magic cookie the host was built with.
	Cookie Cookie `json:"cookie"`
	// Versions are the app protocol versions the host can speak, in any order.
	Versions []int `json:"versions"`
	// Protocols are "netrpc" and "grpc", the preferred one first.
	Protocols []string `json:"protocols"`
	// Features names optional parts of the protocol that the host wants.
	Features []string `json:"features,omitempty"`
	// MaxMessage is how many bytes one message to the host may have; zero says
	// nothing of it.
	MaxMessage int `json:"maxMessage,omitempty"`
	// Host names the host in the plugin's log, for people only.
	Host string `json:"host,omitempty"`
}

// Answer is what a plugin says when it takes the host.
type Answer struct {
	// Core is the handshake version; WriteAnswer fills it in.
	Core int `json:"core"`
	// Version is the app protocol version chosen for this session.
	Version int `json:"version"`
	// Protocol is "netrpc" or "grpc"; it starts right after the line.
	Protocol string `json:"protocol"`
	// Features are those of the request that the plugin accepts.
	Features []string `json:"features,omitempty"`
	// MaxMessage is how many bytes one message to the plugin may have; zero says
	// nothing of it.
	MaxMessage int `json:"maxMessage,omitempty"`
	// Name is the plugin's name (PLUGIN_NAME or the executable's).
	Name string `json:"name,omitempty"`
	// Instance tells two runs of one plugin apart: it is new in each process.
	Instance string `json:"instance,omitempty"`
	// Kinds are the interfaces the plugin serves in this version.
	Kinds []Kind `json:"kinds,omitempty"`
	// Partial is true when Kinds was shortened because the line would have
	// been longer than MaxAnswer: what is missing from Kinds may be served.
	Partial bool `json:"partial,omitempty"`
	// Build says what the plugin was built from, if it knows.
	Build *Build `json:"build,omitempty"`
}

// Kind is one interface that a plugin serves.
type Kind struct {
	// Name is what the host dispenses.
	Name string `json:"name"`
	// Methods are the interface's methods, where the plugin can tell them.
	Methods []Method `json:"methods,omitempty"`
}

// Method is one method of a Kind. Args and Reply are type names for people and
// for a first comparison; they are empty where the plugin cannot tell.
type Method struct {
	Name  string `json:"name"`
	Args  string `json:"args,omitempty"`
	Reply string `json:"reply,omitempty"`
}

// Build identifies the plugin's executable, from its Go build information.
type Build struct {
	Go       string `json:"go,omitempty"`
	Module   string `json:"module,omitempty"`
	Version  string `json:"version,omitempty"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	// Fork is the version of this go-plugin that the plugin was built with.
	Fork string `json:"fork,omitempty"`
}
