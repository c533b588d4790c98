// SPDX-License-Identifier: MPL-2.0

package dynamic_test

import (
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"net/rpc"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/commons/commonspb"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/daemon/daemontest"
	"github.com/reattach/reattach/host/dynamic"
	"github.com/reattach/reattach/host/stub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type greeter struct{}

func (greeter) Greet(name string) (string, error) {
	if name == "nobody" {
		return "", errors.New("nobody is there")
	}
	return "Hello " + name, nil
}
func (greeter) Hi(times int) (string, error) { return fmt.Sprint(times), nil }

// ask calls a method of the plugin that a test serves.
func ask(t *testing.T, p *daemontest.Plugin, kind, method, args string) string {
	t.Helper()
	got, err := p.Daemon.Call(t.Context(), daemontest.Name, kind, method, json.RawMessage(args))
	if err != nil {
		return err.Error()
	}
	return string(got)
}

// TestReflection holds that a plugin whose interface is not here can be called, by its
// kind's name and by that of its service.
func TestReflection(t *testing.T) {
	for _, kind := range []string{"greeter", "Greeter", "v1.Greeter", "reattach.commons.v1.Greeter", "other-word"} {
		p := daemontest.Serve(t, dynamic.Kind(kind, nil, "Greet"), &commons.GreeterPlugin{Impl: greeter{}})
		for args, want := range map[string]string{
			`["Ada"]`:           `{"greeting":"Hello Ada"}`,
			` {"name": "Ada"} `: `{"greeting":"Hello Ada"}`,
			`["nobody"]`:        "nobody is there",
			`[5]`:               `arguments do not fit Greet(name string) GreetResponse: argument "name": 5 is not string`,
			`["Ada", 2]`:        `arguments do not fit Greet(name string) GreetResponse: it takes 1 argument, got 2`,
			`{"nam": "Ada"}`:    `arguments do not fit Greet(name string) GreetResponse: there is no argument "nam"`,
			`"Ada"`:             `arguments do not fit Greet(name string) GreetResponse: want a JSON array with one element for each parameter, or an object with their names`,
		} {
			if got := ask(t, p, kind, "Greet", args); got != want {
				t.Errorf("%s.Greet %s: %s, want %s", kind, args, got, want)
			}
		}
	}
}

// TestUnknownMethod holds that what there is is named, and that nothing else is wrong.
func TestUnknownMethod(t *testing.T) {
	p := daemontest.Serve(t, dynamic.Kind("greeter", nil, "Bow"), &commons.GreeterPlugin{Impl: greeter{}})
	_, err := p.Daemon.Call(t.Context(), daemontest.Name, "greeter", "Bow", nil)
	if !errors.Is(err, daemon.ErrUnknown) || !strings.Contains(err.Error(), "reattach.commons.v1.Greeter has Greet, Hi") {
		t.Error(err)
	}
}

func TestNetRPCNeedsAContract(t *testing.T) {
	p := daemontest.Serve(t, dynamic.Kind("greeter", nil, "Greet"), &commons.GreeterPlugin{Impl: greeter{}}, daemontest.NetRPC())
	_, err := p.Daemon.Call(t.Context(), daemontest.Name, "greeter", "Greet", json.RawMessage(`["Ada"]`))
	if !errors.Is(err, daemon.ErrNotCallable) || !strings.Contains(err.Error(), "contract.json") {
		t.Error(err)
	}
	if kinds, err := dynamic.Describe(t.Context(), p.Daemon, daemontest.Name, "greeter"); err != nil || kinds != nil {
		t.Errorf("%v, %v", kinds, err)
	}
}

func TestDescribe(t *testing.T) {
	p := daemontest.Serve(t, dynamic.Kind("-", nil, ""), &commons.GreeterPlugin{Impl: greeter{}})
	kinds, err := dynamic.Describe(t.Context(), p.Daemon, daemontest.Name, "-")
	if err != nil || len(kinds) != 1 || kinds[0].Name != "reattach.commons.v1.Greeter" {
		t.Fatalf("%+v, %v", kinds, err)
	}
	var said []string
	for _, m := range kinds[0].Methods {
		said = append(said, m.Signature)
	}
	if got := strings.Join(said, "; "); got != "Greet(name string) GreetResponse; Hi(times int64) HiResponse" {
		t.Error(got)
	}
}

// messages is a greeter over net/rpc whose arguments are messages within gob, as generated
// glue has them.
type messages struct{ plugin.NetRPCUnsupportedPlugin }

func (messages) Server(*plugin.MuxBroker) (any, error) { return messagesServer{}, nil }

func (messages) Client(*plugin.MuxBroker, *rpc.Client) (any, error) {
	return nil, errors.New("no host")
}

type (
	messagesServer struct{}
	GreetRequest   struct{ commonspb.GreetRequest }
	GreetResponse  struct{ commonspb.GreetResponse }
)

var _ = []any{gob.GobDecoder(&GreetRequest{}), gob.GobEncoder(&GreetResponse{})}

func (r *GreetRequest) GobDecode(raw []byte) error  { return proto.Unmarshal(raw, &r.GreetRequest) }
func (r *GreetResponse) GobEncode() ([]byte, error) { return proto.Marshal(&r.GreetResponse) }

func (messagesServer) Greet(in *GreetRequest, out *GreetResponse) error {
	text, err := greeter{}.Greet(in.GetName())
	out.Greeting = text
	return err
}

// contract is what a contract.json tells of greeters.
func contract() []dynamic.Method {
	file := commonspb.File_commons_commonspb_commons_proto
	message := file.Messages().ByName
	return []dynamic.Method{{
		Name: "Greet", Service: "reattach.commons.v1.Greeter",
		Params: []dynamic.Field{{Name: "who", Type: "string", Number: 1}}, Results: []dynamic.Field{{Name: "result", Type: "string", Number: 1}},
		Request: message("GreetRequest"), Answer: message("GreetResponse"),
	}, {Name: "Watch", NotCallable: "it is a stream"}}
}

// TestContract holds that with a contract both protocols are called by the names of the
// source, and answer as its interface does.
func TestContract(t *testing.T) {
	for name, serve := range map[string]func(daemon.Kind) *daemontest.Plugin{
		"gRPC": func(k daemon.Kind) *daemontest.Plugin {
			return daemontest.Serve(t, k, &commons.GreeterPlugin{Impl: greeter{}})
		},
		"net/rpc": func(k daemon.Kind) *daemontest.Plugin {
			return daemontest.Serve(t, k, messages{}, daemontest.NetRPC())
		},
	} {
		p := serve(dynamic.Kind("greeter", contract(), "", daemon.WithMethod("Greet", stub.CallOptions{Idempotent: true})))
		for args, want := range map[string]string{
			`["Ada"]`:         `"Hello Ada"`,
			`{"who": "Ada"}`:  `"Hello Ada"`,
			`{"name": "Ada"}`: `arguments do not fit Greet(who string) (string, error): argument "who" is missing`,
			`[]`:              `arguments do not fit Greet(who string) (string, error): argument "who" is missing: it takes 1 argument, got 0`,
			`["nobody"]`:      "nobody is there",
		} {
			if got := ask(t, p, "greeter", "Greet", args); got != want {
				t.Errorf("%s: %s: %s, want %s", name, args, got, want)
			}
		}
		if got := ask(t, p, "greeter", "Watch", ""); got != "greeter.Watch cannot be called with JSON: it is a stream" {
			t.Errorf("%s: %s", name, got)
		}
		if m := p.Daemon.Kinds()[0].Methods[0]; !m.Idempotent || m.Signature != "Greet(who string) (string, error)" {
			t.Errorf("%s: %+v", name, m)
		}
	}
}
