// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reattach/reattach/host/visit"
)

func TestPrintReports(t *testing.T) {
	reports := []visit.Report{
		{
			Place:    visit.ChildAt("/bin/greeter-en.po"),
			Protocol: "net/rpc", Version: 1,
			Kinds: []visit.KindReport{
				{Name: "greeter", Served: true, Answers: []visit.Answer{
					{Method: "greet", Text: "Hello someone"},
					{Method: "hi", Err: errors.New("rpc: can't find method Plugin.Hi")},
				}},
				{Name: "pingponger"},
				{Name: "broken", Served: true, Err: errors.New("no implementation")},
			},
		},
		{
			Place: visit.NetworkAt("127.0.0.1:1"),
			Err:   errors.New("attach to 127.0.0.1:1: refused\n\n  This usually means\n  that nobody listens."),
		},
	}
	want := `greeter-en  child  net/rpc v1
  greet: Hello someone
  hi: rpc: can't find method Plugin.Hi
  pingponger: not served
  broken: error: no implementation
127.0.0.1:1  network
  error: attach to 127.0.0.1:1: refused This usually means that nobody listens.
`
	var got strings.Builder
	if err := printReports(&got, reports); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
