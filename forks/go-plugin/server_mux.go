// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// ServeMuxMap holds the configurations of one executable that is several
// plugins, by the argument that chooses one.
type ServeMuxMap map[string]*ServeConfig

// ServeMux serves the plugin that the one command-line argument names, like
// [Serve]. Any other command line is explained on stderr, and the process
// exits with 1.
func ServeMux(m ServeMuxMap) {
	if len(os.Args) != 2 {
		fmt.Fprintf(os.Stderr, "This binary holds several plugins and takes one argument, the name of one of them: %s.\n"+
			"It is meant to be started by the program that uses them.\n", m.names())
		os.Exit(1)
	}
	opts, ok := m[os.Args[1]]
	if !ok {
		fmt.Fprintf(os.Stderr, "Unknown plugin: %s. This binary holds: %s.\n", os.Args[1], m.names())
		os.Exit(1)
	}
	Serve(opts)
}

func (m ServeMuxMap) names() string {
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}
