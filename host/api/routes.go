// SPDX-License-Identifier: MPL-2.0

package api

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/hashicorp/go-plugin/printable"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/fleet"
)

//go:embed openapi.json
var openAPI []byte

// route is one thing that the API serves.
type route struct {
	method, pattern string
	serve           http.HandlerFunc
}

// routes are all that the server serves besides the page; openapi.json has the same.
func (s *Server) routes() []route {
	all := []route{
		{http.MethodGet, "/healthz", s.health},
		{http.MethodGet, "/readyz", s.ready},
		{http.MethodGet, "/api/v1/openapi.json", s.describe},
		{http.MethodGet, "/api/v1/host", s.host},
		{http.MethodGet, "/api/v1/kinds", s.kinds},
		{http.MethodGet, "/api/v1/plugins", s.plugins},
		{http.MethodGet, "/api/v1/plugins/{name}", s.plugin},
		{http.MethodPost, "/api/v1/plugins/{name}/probe", s.probe},
		{http.MethodGet, "/api/v1/plugins/{name}/history", s.pluginHistory},
		{http.MethodGet, "/api/v1/history", s.history},
		{http.MethodGet, "/api/v1/events", s.events},
		{http.MethodPost, "/api/v1/plugins/{name}/kinds/{kind}/methods/{method}", s.call},
	}
	if s.opts.Gatherer != nil {
		all = append(all, route{http.MethodGet, "/metrics", metrics(s.gatherer())})
	}
	return all
}

// health says that the process serves; it looks at nothing else.
func (*Server) health(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readiness is the answer of /readyz.
type readiness struct {
	Ready bool `json:"ready"`
	// Missing says, for people, what keeps the daemon from being ready.
	Missing []string `json:"missing"`
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	answer := readiness{Missing: s.missing()}
	status := http.StatusServiceUnavailable
	if answer.Ready = len(answer.Missing) == 0; answer.Ready {
		status = http.StatusOK
	}
	writeJSON(w, status, answer)
}

// missing says what keeps the daemon from being ready. It is not nil.
func (s *Server) missing() []string {
	missing := append([]string{}, s.opts.Daemon.Missing()...)
	select {
	case <-s.ending:
		missing = append(missing, "the daemon is shutting down")
	default:
	}
	return missing
}

func (*Server) describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPI)
}

// kindList is the answer of /api/v1/kinds.
type kindList struct {
	Kinds []daemon.KindInfo `json:"kinds"`
}

func (s *Server) kinds(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, kindList{s.opts.Daemon.Kinds()})
}

func (s *Server) plugins(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.opts.Daemon.Found())
}

func (s *Server) plugin(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	p, known := s.opts.Daemon.Plugin(name)
	if !known {
		writeProblem(w, s.unknownPlugin(name))
		return
	}
	writeJSON(w, http.StatusOK, p)
}

// unknownPlugin says which plugins there are, as a call of one does.
func (s *Server) unknownPlugin(name string) problem {
	unknown := &fleet.UnknownPluginError{Plugin: name}
	for _, p := range s.opts.Daemon.Plugins() {
		unknown.Known = append(unknown.Known, p.Name)
	}
	return problem{Status: http.StatusNotFound, Type: typeUnknown, Detail: unknown.Error()}
}

// wrongMethod answers requests of a route's path that the route does not take, in the
// form of all other errors.
func wrongMethod(takes string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", takes)
		writeProblem(w, problem{Status: http.StatusMethodNotAllowed, Detail: fmt.Sprintf("%s takes %s", r.URL.Path, takes)})
	}
}

// notFound answers what no route does.
func notFound(w http.ResponseWriter, _ *http.Request) {
	writeProblem(w, problem{Status: http.StatusNotFound, Detail: "there is no such path; /api/v1/openapi.json lists those there are"})
}

// writeJSON answers. Whoever asked may have hung up, and nobody else cares.
func writeJSON(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		writeProblem(w, problem{Status: http.StatusInternalServerError, Source: "host", Detail: err.Error()})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(printable.JSON(raw), '\n'))
}
