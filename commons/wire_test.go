// SPDX-License-Identifier: MPL-2.0

package commons

import (
	"encoding/gob"
	"io"
	"net"
	"net/rpc"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// request is a call as a server sees it.
type request struct {
	Method string
	Args   map[string]interface{}
}

// TestRequestsOnTheWire decodes what the stubs send as an old plugin does.
func TestRequestsOnTheWire(t *testing.T) {
	cases := map[string]struct {
		reason string
		call   func(*rpc.Client) (string, error)
		want   request
	}{
		"greet": {
			reason: "old plugins read the argument name",
			call:   func(c *rpc.Client) (string, error) { return (&greeterRPC{rpcCaller{client: c}}).Greet("Ada") },
			want:   request{"Plugin.Greet", map[string]interface{}{"name": "Ada"}},
		},
		"hi": {
			reason: "old plugins read times as an int",
			call:   func(c *rpc.Client) (string, error) { return (&greeterRPC{rpcCaller{client: c}}).Hi(2) },
			want:   request{"Plugin.Hi", map[string]interface{}{"times": 2}},
		},
		"ping": {
			reason: "no arguments are an empty map, not nothing",
			call:   func(c *rpc.Client) (string, error) { return (&pingPongerRPC{rpcCaller{client: c}}).Ping() },
			want:   request{"Plugin.Ping", map[string]interface{}{}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			near, far := net.Pipe()
			client := rpc.NewClient(near)
			defer client.Close()
			got := make(chan request, 1)
			go answerOnce(t, far, got)
			answer, err := tc.call(client)
			if err != nil || answer != "ok" {
				t.Errorf("got %q, %v", answer, err)
			}
			if diff := cmp.Diff(tc.want, <-got); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
			}
		})
	}
}

// answerOnce is a net/rpc server made by hand: it reads one request and says ok.
func answerOnce(t *testing.T, conn io.ReadWriter, got chan<- request) {
	var header rpc.Request
	var body map[string]interface{}
	dec, enc := gob.NewDecoder(conn), gob.NewEncoder(conn)
	if err := dec.Decode(&header); err != nil {
		t.Error(err)
	}
	if err := dec.Decode(&body); err != nil {
		t.Error(err)
	}
	if err := enc.Encode(rpc.Response{ServiceMethod: header.ServiceMethod, Seq: header.Seq}); err != nil {
		t.Error(err)
	}
	if err := enc.Encode("ok"); err != nil {
		t.Error(err)
	}
	got <- request{header.ServiceMethod, body}
}
