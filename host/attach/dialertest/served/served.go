// SPDX-License-Identifier: MPL-2.0

// Package served is the plugin that the suite of package dialertest expects at
// the other end, whatever its placement.
package served

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
)

// Names that the plugin's Greet answers in a way of its own.
const (
	// Fail is answered with the error FailText.
	Fail = "fail"
	// Hold is not answered while the plugin lives.
	Hold = "hold"
	// PID is answered with the process number.
	PID = "pid"
	// Print is written to both standard streams first.
	Print = "print"
)

// FailText is the text of the plugin's own error.
const FailText = "the plugin says no"

// Config is what the plugin serves: the kinds "greeter" and "pingponger" of
// package commons, in both of its versions.
func Config(logger hclog.Logger) *plugin.ServeConfig {
	return commons.ServeConfig(logger, plugin.PluginSet{
		commons.GreeterKind:    &commons.GreeterPlugin{Impl: speaker{}},
		commons.PingPongerKind: &commons.PingPongerPlugin{Impl: speaker{}},
	})
}

// speaker implements both kinds.
type speaker struct{}

func (speaker) Greet(name string) (string, error) {
	switch name {
	case Fail:
		return "", errors.New(FailText)
	case Hold:
		select {}
	case PID:
		return strconv.Itoa(os.Getpid()), nil
	case Print:
		fmt.Println("to stdout")
		fmt.Fprintln(os.Stderr, "to stderr")
	}
	return "Hello " + name, nil
}

func (speaker) Hi(times int) (string, error) { return fmt.Sprintf("Hi =%d=", times), nil }

func (speaker) Ping() (string, error) { return "pong!", nil }
