// SPDX-License-Identifier: MPL-2.0

package hostapi

// ControlFD is the file descriptor over which a peer host takes its commands,
// as net/rpc in JSON, service name "Host". It is not stdin, because go-plugin
// hands the host's stdin to the plugins that it starts.
const ControlFD = 3

// Client is the configuration of one plugin.Client in a peer host, which later
// commands name by Name.
type Client struct {
	Name string

	// Path and Env start a child. Env is added to the host's environment.
	Path string   `json:",omitempty"`
	Env  []string `json:",omitempty"`

	// Reattach attaches to a plugin that runs.
	Reattach *Reattach `json:",omitempty"`

	// TLS is "", "auto" for AutoMTLS, or a directory with the certificate
	// "host" or, if TLSName is set, of that name. ServerName replaces
	// "localhost" as the name that the plugin must prove.
	TLS        string `json:",omitempty"`
	TLSName    string `json:",omitempty"`
	ServerName string `json:",omitempty"`

	// Versions maps app versions to "netrpc" or "grpc". A single version 1 is
	// given to ClientConfig.Plugins, the rest to VersionedPlugins.
	Versions map[int]string

	// Allowed lists the protocols that the host accepts. Empty: both.
	Allowed []string `json:",omitempty"`

	// Multiplex asks for GRPCBrokerMultiplex.
	Multiplex bool `json:",omitempty"`

	// StartTimeoutMS bounds the start of a child, in milliseconds. 0: the
	// library's default.
	StartTimeoutMS int64 `json:",omitempty"`

	// WrongCookie sends another cookie than the plugin expects.
	WrongCookie bool `json:",omitempty"`

	// WrongChecksum sets a SecureConfig that the executable does not meet.
	WrongChecksum bool `json:",omitempty"`

	// Runner starts the child by a RunnerFunc of the host's own.
	Runner bool `json:",omitempty"`

	// SkipHostEnv, Managed and SocketGroup are the fields of the library's
	// configuration; the last is that of UnixSocketConfig.
	SkipHostEnv bool   `json:",omitempty"`
	Managed     bool   `json:",omitempty"`
	SocketGroup string `json:",omitempty"`

	// DialTimeoutMS, PingTimeoutMS and KeepaliveMS tune a remote plugin, in
	// milliseconds. Upstream has no such settings and ignores them.
	DialTimeoutMS int64 `json:",omitempty"`
	PingTimeoutMS int64 `json:",omitempty"`
	KeepaliveMS   int64 `json:",omitempty"`

	// StallOutput lets every write of the plugin's output block until the
	// host's Release.
	StallOutput bool `json:",omitempty"`
}

// Reattach is plugin.ReattachConfig as plain data.
type Reattach struct {
	Protocol string
	Version  int
	Network  string
	Address  string
	Pid      int
	Test     bool
}

// Named names the client that a command is for.
type Named struct {
	Name string
}

// None is the answer of a command that has none.
type None struct{}

// Connection is the answer of Connect.
type Connection struct {
	// Serial is the same for the same ClientProtocol, and differs from that of
	// every other one that the client has returned.
	Serial int
}

// State is what a plugin.Client says of its plugin, and what the stub's
// context says.
type State struct {
	Exited      bool
	ID          string
	Version     int
	Protocol    string
	ContextDone bool
}

// Kind names a plugin to dispense.
type Kind struct {
	Name string
	Kind string
}

// Entry is a key and its value.
type Entry struct {
	Name  string
	Key   string
	Value []byte
}

// Blob is a value that the host makes itself, because it is too large to be
// sent as a command.
type Blob struct {
	Name string
	Size int
}

// Action is store.Action.
type Action struct {
	Name string
	Do   string
	Text string
	N    int64
}

// Outcome is store.Outcome, and how long the call took in milliseconds.
type Outcome struct {
	Text string
	N    int64
	MS   int64
}

// Count says how much to do.
type Count struct {
	Name  string
	Count int64
}

// Output is what a host has received of a plugin's output.
type Output struct {
	// Stdout and Stderr are the first bytes, at most 64 KiB of each.
	Stdout, Stderr string

	// RawStderr is what ClientConfig.Stderr was given: what a child writes to
	// the stderr that it was born with.
	RawStderr string

	// Bytes counts what came on stdout.
	Bytes int64

	// Lines counts the whole flood lines among it, Missing those that were left
	// out between two others, and Torn pieces of such lines.
	Lines, Missing, Torn int64

	// Notices counts the fork's lines in place of what a slow host missed, and
	// Missed the bytes that they speak of. NoticeBytes is their own length.
	Notices, Missed, NoticeBytes int64
}

// Logs is what the library logged in the host. A line is
// "level: message key=value ...".
type Logs struct {
	Lines []string
}

// Load describes calls that a client makes again and again.
type Load struct {
	Name string

	// ForMS is for how long, in milliseconds. Every call is a Put and a Get of
	// a key of this client; if Callback is set, a callback over the session's
	// broker too, by an adder of this client's name.
	ForMS    int64
	Callback bool

	// SleepMS, if not empty, replaces the calls: one Sleep for each, all at once.
	SleepMS []int64
}

// LoadResult is what came of a load.
type LoadResult struct {
	Calls    int64
	Failed   int64
	Swapped  int64 // answers that belonged to somebody else
	FirstErr string
}

// Failure is how a call failed, for calls that must.
type Failure struct {
	// Text is empty if the call did not fail.
	Text string

	// Lost is true if the library tells that the connection was lost. Upstream
	// never does.
	Lost bool
}

// SessionInfo is what plugin.Attach of the fork learned from the handshake.
type SessionInfo struct {
	Name, Instance, Protocol string
	Version                  int
	Features                 []string
}
