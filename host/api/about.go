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
	// Missing is that of /readyz.
	Missing []string `json:"missing"`
}

// host says what serves, and what a client needs to know to call.
func (s *Server) host(w http.ResponseWriter, _ *http.Request) {
	answer := about{s.opts.Program, s.opts.Build, s.started, time.Now(), "open", s.missing()}
	switch {
	case s.opts.NoCalls:
		answer.Calls = "off"
	case s.token != nil:
		answer.Calls = "token"
	}
	writeJSON(w, http.StatusOK, answer)
}
