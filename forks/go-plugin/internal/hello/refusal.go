// SPDX-License-Identifier: MPL-2.0

package hello

import (
	"fmt"
	"slices"

	"github.com/hashicorp/go-plugin/internal/env"
)

// The codes of a Refusal. A host decides by them what to do next, so they are
// part of the protocol; the message beside them is for people.
const (
	// CodeMalformed: the request is not what the grammar says.
	CodeMalformed = "malformed"
	// CodeTooLarge: the line or a list in it exceeds its bound.
	CodeTooLarge = "too-large"
	// CodeCore: the host speaks another version of the handshake.
	CodeCore = "core"
	// CodeCookie: host and plugin were not made for each other.
	CodeCookie = "cookie"
	// CodeVersion: there is no app protocol version that both have.
	CodeVersion = "version"
	// CodeProtocol: the common version is served in a protocol the host does not take.
	CodeProtocol = "protocol"
	// CodeBusy: the plugin has as many sessions as it allows itself.
	CodeBusy = "busy"
	// CodeDraining: the plugin is about to end and takes no new session.
	CodeDraining = "draining"
)

// Refusal is a plugin's no, with the reason. It is an error on both sides: the
// plugin's code returns it to have it written, ReadAnswer returns what came.
type Refusal struct {
	// Code is one of the Code constants, or one that a newer peer knows.
	Code string `json:"code"`
	// Message is one line for people.
	Message string `json:"message"`
	// Versions and Protocols are what the plugin has, where that helps.
	Versions  []int    `json:"versions,omitempty"`
	Protocols []string `json:"protocols,omitempty"`
}

// Error returns the plugin's message, which stands for itself; the code when
// there is none.
func (r *Refusal) Error() string {
	if r.Message == "" {
		return "plugin refused the connection: " + r.Code
	}
	return r.Message
}

// Temporary says whether the same request may be taken later, or by another
// instance. Every other refusal lasts until one of the two programs changes.
func (r *Refusal) Temporary() bool {
	return r.Code == CodeBusy || r.Code == CodeDraining
}

// What follows are all refusals, and their words.

// never names a value: the message ends up in logs and terminals.
// CheckCookie refuses a host whose cookie is not want. A zero want is not compared. It
func CheckCookie(got, want Cookie) *Refusal {
	var message string
	switch {
	case want == Cookie{} || got == want:
		return nil
	case got.Key == "":
		message = fmt.Sprintf("the host sent no magic cookie; this plugin expects the one named %q", want.Key)
	case got.Key != want.Key:
		message = fmt.Sprintf("the host's magic cookie is named %q, this plugin's %q: they were not made for each other", got.Key, want.Key)
	default:
		message = fmt.Sprintf("the host's value of the magic cookie %q is not this plugin's: they were not made for each other", want.Key)
	}
	return &Refusal{Code: CodeCookie, Message: message}
}

// refuseVersion uses the words that a host of upstream go-plugin uses for the
// same fault, because people search for them.
func refuseVersion(req *Request, offers []Offer) *Refusal {
	var versions []int
	for _, o := range offers {
		versions = append(versions, o.Version)
	}
	slices.Sort(versions)
	versions = slices.Compact(versions)

	plugin := fmt.Sprintf("versions: %d", versions)
	if len(versions) == 1 {
		plugin = fmt.Sprintf("version: %d", versions[0])
	}
	return &Refusal{
		Code:     CodeVersion,
		Message:  fmt.Sprintf("incompatible API version with plugin. Plugin %s, Client versions: %d", plugin, req.Versions),
		Versions: versions,
	}
}

func refuseProtocol(req *Request, common []Offer) *Refusal {
	var protocols []string
	for _, o := range common {
		if !slices.Contains(protocols, o.Protocol) {
			protocols = append(protocols, o.Protocol)
		}
	}
	return &Refusal{
		Code:      CodeProtocol,
		Message:   fmt.Sprintf("unsupported plugin protocol %q. Supported: %v", common[0].Protocol, req.Protocols),
		Protocols: protocols,
	}
}

func refuseCore(spoken string) *Refusal {
	return &Refusal{
		Code:    CodeCore,
		Message: fmt.Sprintf("the peer speaks %s of the handshake, this side speaks %s%d with core %d", spoken, Prefix, Core, Core),
	}
}

func malformed(format string, args ...any) *Refusal {
	return &Refusal{Code: CodeMalformed, Message: fmt.Sprintf(format, args...)}
}

func tooLarge(what string, have, limit int) *Refusal {
	return &Refusal{Code: CodeTooLarge, Message: fmt.Sprintf("the hello holds %d %s, at most %d are allowed", have, what, limit)}
}

// RefuseBusy is for a host beyond the limit of sessions.
func RefuseBusy(limit int) *Refusal {
	return &Refusal{
		Code:    CodeBusy,
		Message: fmt.Sprintf("%d hosts are attached already; run more replicas or raise %s", limit, env.MaxSessions),
	}
}

// RefuseDraining is for a host that comes while the plugin leaves.
func RefuseDraining() *Refusal {
	return &Refusal{Code: CodeDraining, Message: "the plugin is shutting down"}
}

// RefuseStranger is for a peer that speaks nothing that a plugin does.
func RefuseStranger() *Refusal {
	return malformed("this is a go-plugin plugin; what came is no handshake, no yamux and no HTTP/2")
}
