// SPDX-License-Identifier: MPL-2.0

package adoption

import (
	"strconv"
	"testing"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// none is the answer that nobody reads.
var none = &hostapi.None{}

// hostProc is a peer host, which does what it is told on its control socket.
type hostProc struct{ *kit.Host }

// startHost starts a host, which ends with the test together with what it has started.
func startHost(t *testing.T, s side, env ...string) *hostProc {
	t.Helper()
	return &hostProc{kit.StartHost(t, programs(t).host(s), append(programs(t).env(), env...))}
}

// pid asks the plugin for its process, wherever that is.
func (h *hostProc) pid(name string) int {
	h.T.Helper()
	return h.Report(name).Pid
}

// counted gives a sum to the table of make adoption, which adds up those of its rows.
func counted(t *testing.T, what string, n int64) {
	t.Helper()
	t.Attr(what, strconv.FormatInt(n, 10))
}
