// SPDX-License-Identifier: MPL-2.0

package api

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Routes gives what a server with everything turned on serves, sorted.
func Routes() []string {
	s := &Server{opts: Options{Gatherer: prometheus.NewRegistry()}}
	var all []string
	for _, r := range s.routes() {
		all = append(all, r.method+" "+r.pattern)
	}
	slices.Sort(all)
	return all
}
