// SPDX-License-Identifier: MPL-2.0

package api

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/hashicorp/go-plugin/printable"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/stub"
)

// What a problem's type may be; "about:blank" stands for what its status says.
const (
	typeUnknown     = "urn:reattach:unknown"
	typeArguments   = "urn:reattach:arguments"
	typeNotCallable = "urn:reattach:not-callable"
	typePlugin      = "urn:reattach:plugin-error"
	typeUnavailable = "urn:reattach:unavailable"
	typeLost        = "urn:reattach:connection-lost"
	typeTimeout     = "urn:reattach:timeout"
	typeCaller      = "urn:reattach:ended-by-caller"
)

// problem is an error as RFC 9457 writes it, with members of our own at its end.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Source is on whose side a call failed: plugin, network, host or caller.
	Source string `json:"source,omitempty"`
	// MayHaveRun says that the method may have run although the call failed. It is
	// there for a call that was not answered.
	MayHaveRun *bool `json:"mayHaveRun,omitempty"`
	// Endpoint is the endpoint that had the call last.
	Endpoint string `json:"endpoint,omitempty"`
}

func writeProblem(w http.ResponseWriter, p problem) {
	if p.Type == "" {
		p.Type = "about:blank"
	}
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	p.Detail = printable.Clip(p.Detail, printable.MaxText)
	raw, err := json.Marshal(p)
	if err != nil {
		raw = []byte(`{"type":"about:blank","title":"Internal Server Error","status":500}`)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	if p.Status == http.StatusServiceUnavailable && p.MayHaveRun != nil {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(printable.JSON(raw), '\n'))
}

// problemOf says what a failed call looks like to its caller. Gateways and clients
// repeat requests that got 429, 502, 503 or 504. So 503 is for what surely has not
// run, and a call that may have run is 500, as a plugin's own error is: what repeats
// requests must not run a method again.
func problemOf(err error) problem {
	p := problem{Status: http.StatusInternalServerError, Detail: err.Error(), Source: string(stub.SourceOf(err))}
	switch {
	case errors.Is(err, daemon.ErrUnknown):
		p.Status, p.Type, p.Title, p.Source = http.StatusNotFound, typeUnknown, "Unknown plugin, kind or method", ""
		return p
	case errors.Is(err, daemon.ErrNotCallable):
		p.Status, p.Type, p.Title, p.Source = http.StatusUnprocessableEntity, typeNotCallable, "JSON cannot carry the method", "host"
		return p
	case errors.Is(err, daemon.ErrArguments):
		p.Status, p.Type, p.Title, p.Source = http.StatusBadRequest, typeArguments, "Arguments do not fit", ""
		return p
	}
	fault, ok := stub.Cause(err)
	if !ok {
		if p.Source == string(stub.SourcePlugin) {
			p.Type, p.Title = typePlugin, "The plugin answered with an error"
		}
		return p
	}
	p.MayHaveRun, p.Endpoint = &fault.MayHaveRun, fault.Endpoint
	switch fault.Reason {
	case stub.ReasonTimeout:
		p.Type, p.Title = typeTimeout, "No answer in time"
	case stub.ReasonUnavailable:
		p.Type, p.Title = typeUnavailable, "No endpoint took the call"
	case stub.ReasonLost:
		p.Type, p.Title = typeLost, "The connection was lost during the call"
	case stub.ReasonCaller:
		p.Type, p.Title = typeCaller, "The caller ended the call"
	default: // arguments or an answer that cannot be encoded: trying again is in vain
		return p
	}
	if !fault.MayHaveRun {
		p.Status = http.StatusServiceUnavailable
	}
	return p
}
