// SPDX-License-Identifier: MPL-2.0

package hello

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
