// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"testing"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// hostProc is a running peer host.
type hostProc struct {
	*kit.Host
	side side
}

// startHost starts a peer host, which ends with the test. Env is added to its
// environment.
func startHost(t *testing.T, s side, env ...string) *hostProc {
	t.Helper()
	return &hostProc{kit.StartHost(t, peers(t).host(s), append(peers(t).env(), env...)), s}
}

func (h *hostProc) library() string {
	h.T.Helper()
	var out hostapi.Outcome
	h.Must("Library", hostapi.None{}, &out)
	return out.Text
}

// attach opens a client that reattaches to a pod.
func (h *hostProc) attach(name string, p *pod) {
	h.T.Helper()
	h.Open(p.client(name))
}
