// SPDX-License-Identifier: MPL-2.0

package api

import (
	"net/http"
	"time"
)

// about is the answer of /api/v1/host.
type about struct {
	// Program and Build are those of Options.
	Program string `json:"program"`
	Build   string `json:"build"`
	// Started is when the server was made, and Time what its clock says now.
	Started time.Time `json:"started"`
	Time    time.Time `json:"time"`
	// Calls says whether calls are taken: open, with a token, or off.
	Calls string `json:"calls"`
	// Probes says the same of probes.
	Probes string `json:"probes"`
	// Missing is that of /readyz.
	Missing []string `json:"missing"`
}

// host says what serves, and what a client needs to know to call.
func (s *Server) host(w http.ResponseWriter, _ *http.Request) {
	taken := "open"
	if s.token != nil {
		taken = "token"
	}
	answer := about{
		Program: s.opts.Program, Build: s.opts.Build, Started: s.started, Time: time.Now(),
		Calls: taken, Probes: taken, Missing: s.missing(),
	}
	if s.opts.NoCalls {
		answer.Calls = "off"
	}
	if s.opts.Probe == nil {
		answer.Probes = "off"
	}
	writeJSON(w, http.StatusOK, answer)
}
