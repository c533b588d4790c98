// SPDX-License-Identifier: MPL-2.0

// Command reattach-gen is "reattach gen" by itself, for the tool line of a contract's go.mod:
//
//	//go:generate go tool reattach-gen
package main

import (
	"context"
	"os"

	"github.com/reattach/reattach/gen"
)

func main() { os.Exit(gen.Main(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }
