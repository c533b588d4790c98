// SPDX-License-Identifier: MPL-2.0

//go:build wasip1

// Command guest is the plugin in WebAssembly. It is built with -buildmode=c-shared.
package main

import (
	"context"

	"github.com/reattach/reattach/test/bench/internal/greet"
	"github.com/reattach/reattach/test/bench/peers/wasm/greetwasm"
)

func main() {}

func init() { greetwasm.RegisterGreeter(greeter{}) }

type greeter struct{}

func (greeter) Greet(_ context.Context, r *greetwasm.GreetRequest) (*greetwasm.GreetResponse, error) {
	return &greetwasm.GreetResponse{Greeting: greet.Answer(r.GetName())}, nil
}
