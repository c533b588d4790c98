// SPDX-License-Identifier: MPL-2.0

package api

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/doctor"
	"github.com/reattach/reattach/host/target"
)

// maxProbes is how many walks there may be at once.
const maxProbes = 4

// probed is the answer of a probe.
type probed struct {
	// Steps are what came of each hop, until one failed.
	Steps []doctor.Step `json:"steps"`
}

// probe walks the way to one endpoint of a plugin, beside the session that the daemon has
// with it. It runs none of the plugin's methods, so it is there where calls are turned
// off; where there is a token, it needs it.
func (s *Server) probe(w http.ResponseWriter, r *http.Request) {
	if refused := s.mayAct(r); refused != nil {
		writeRefusal(w, *refused)
		return
	}
	name, id := r.PathValue("name"), r.URL.Query().Get("endpoint")
	p, known := s.opts.Daemon.Plugin(name)
	if !known {
		writeProblem(w, s.unknownPlugin(name))
		return
	}
	at := slices.IndexFunc(p.Endpoints, func(e daemon.Endpoint) bool { return e.ID == id })
	if at < 0 {
		writeProblem(w, problem{Status: http.StatusNotFound, Type: typeUnknown, Detail: fmt.Sprintf("plugin %s has no endpoint %q", name, id)})
		return
	}
	e := p.Endpoints[at]
	if s.opts.Probe == nil || e.Placement != target.Network {
		writeProblem(w, problem{Status: http.StatusUnprocessableEntity, Source: "host",
			Detail: fmt.Sprintf("there is no way to walk to %s, which is reached as %s", id, e.Placement)})
		return
	}
	select {
	case s.probes <- struct{}{}:
		defer func() { <-s.probes }()
	default:
		writeRefusal(w, problem{Status: http.StatusTooManyRequests, Detail: fmt.Sprintf("%d probes are under way already", maxProbes)})
		return
	}
	defer connectionOf(r).keep()()
	answer := probed{Steps: []doctor.Step{}}
	if err := s.opts.Probe(r.Context(), name, e, func(step doctor.Step) { answer.Steps = append(answer.Steps, step) }); err != nil {
		writeProblem(w, problem{Status: http.StatusInternalServerError, Source: "host", Detail: err.Error()})
		return
	}
	writeJSON(w, http.StatusOK, answer)
}
