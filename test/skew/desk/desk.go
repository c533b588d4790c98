// SPDX-License-Identifier: MPL-2.0

// Package desk is the contract of the hosts and plugins that are built from two commits:
// calls, errors, streams, callbacks and output, over net/rpc and over gRPC. It is compiled
// with an earlier tree as well, so it uses only what that has.
package desk

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/go-plugin"
)

// Kind is the name that a Desk is dispensed by.
const Kind = "desk"

// Desk answers.
type Desk interface {
	// Greet answers with the name of the build that has run it, and the text.
	Greet(text string) (string, error)
	// Refuse fails with the reason.
	Refuse(reason string) error
	// Say writes a line to the plugin's stdout.
	Say(line string) error
	// Count gives the numbers from 1 to n, one by one: as a stream over gRPC, on a
	// brokered connection over net/rpc.
	Count(n int, each func(int)) error
	// Ask asks back before it answers.
	Ask(about string, answer func(about string) string) (string, error)
}

// Handshake is what host and plugin agree on.
func Handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "SKEW_PLUGIN", MagicCookieValue: "desk"}
}

// Set is the glue of a protocol, netrpc or grpc. A host gives no implementation.
func Set(protocol string, impl Desk) plugin.PluginSet {
	if protocol == "grpc" {
		return plugin.PluginSet{Kind: &GRPCPlugin{Impl: impl}}
	}
	return plugin.PluginSet{Kind: &Plugin{Impl: impl}}
}

// work is how long a greeting takes, so that there are always some in flight.
const work = 5 * time.Millisecond

// New is a Desk of a build.
func New(build string) Desk { return desk{build} }

type desk struct{ build string }

func (d desk) Greet(text string) (string, error) {
	<-time.After(work)
	return d.build + " " + text, nil
}

func (d desk) Refuse(reason string) error { return errors.New(reason) }

func (d desk) Say(line string) error {
	_, err := fmt.Println(line)
	return err
}

func (d desk) Count(n int, each func(int)) error {
	for i := range n {
		each(i + 1)
	}
	return nil
}

func (d desk) Ask(about string, answer func(string) string) (string, error) {
	return strings.ToUpper(answer(about)), nil
}
