// SPDX-License-Identifier: MPL-2.0

package commons

import (
	"net"
	"net/rpc"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-plugin"
)

// dialRPC gives a net/rpc client of what p serves, under the name that go-plugin
// gives a dispensed kind.
func dialRPC(t *testing.T, p plugin.Plugin) *rpc.Client {
	t.Helper()
	impl, err := p.Server(nil)
	if err != nil {
		t.Fatal(err)
	}
	server := rpc.NewServer()
	if err := server.RegisterName("Plugin", impl); err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.ServeConn(far)
	}()
	client := rpc.NewClient(near)
	t.Cleanup(func() {
		_ = client.Close()
		<-served
	})
	return client
}

func TestRawArguments(t *testing.T) {
	type answer struct{ Text, Err string }
	cases := map[string]struct {
		reason string
		method string
		args   map[string]interface{}
		want   answer
	}{
		"greet": {
			reason: "this is what every host since the first has sent",
			method: "Plugin.Greet", args: map[string]interface{}{"name": "Ada"},
			want: answer{Text: "Hello Ada"},
		},
		"greet nobody": {
			reason: "an empty name is a name",
			method: "Plugin.Greet", args: map[string]interface{}{"name": ""},
			want: answer{Text: "Hello "},
		},
		"greet without name": {
			reason: "the name is required",
			method: "Plugin.Greet", args: map[string]interface{}{},
			want: answer{Err: `Greet: argument "name" is missing`},
		},
		"greet with nil map": {
			reason: "a nil map has no arguments",
			method: "Plugin.Greet", args: nil,
			want: answer{Err: `Greet: argument "name" is missing`},
		},
		"greet a number": {
			reason: "the error says what came",
			method: "Plugin.Greet", args: map[string]interface{}{"name": 7},
			want: answer{Err: `Greet: argument "name": want string, got int`},
		},
		"greet with more": {
			reason: "a newer host may send what we do not know yet",
			method: "Plugin.Greet", args: map[string]interface{}{"name": "Ada", "mood": "good"},
			want: answer{Text: "Hello Ada"},
		},
		"hi": {
			reason: "times is an int",
			method: "Plugin.Hi", args: map[string]interface{}{"times": 2},
			want: answer{Text: "Hi =2="},
		},
		"hi without times": {
			reason: "a host older than the argument gets the zero value",
			method: "Plugin.Hi", args: map[string]interface{}{},
			want: answer{Text: "Hi =0="},
		},
		"hi with a text": {
			reason: "absent is zero, but wrong is an error",
			method: "Plugin.Hi", args: map[string]interface{}{"times": "2"},
			want: answer{Err: `Hi: argument "times": want int, got string`},
		},
		"hi with a fraction": {
			reason: "no conversion is guessed",
			method: "Plugin.Hi", args: map[string]interface{}{"times": 2.5},
			want: answer{Err: `Hi: argument "times": want int, got float64`},
		},
		"unknown method": {
			reason: "hosts show these words of net/rpc to people",
			method: "Plugin.Bye", args: map[string]interface{}{},
			want: answer{Err: "rpc: can't find method Plugin.Bye"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			client := dialRPC(t, &GreeterPlugin{Impl: speaker{}})
			var got answer
			err := client.Call(tc.method, tc.args, &got.Text)
			got.Err = text(err)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
			}
		})
	}
}

func TestArgumentsOfAnotherShape(t *testing.T) {
	client := dialRPC(t, &GreeterPlugin{Impl: speaker{}})
	var answer string
	if err := client.Call("Plugin.Greet", "just a text", &answer); err == nil {
		t.Error("a text instead of a map was accepted")
	}
	if err := client.Call("Plugin.Greet", map[string]interface{}{"name": "Ada"}, &answer); err != nil {
		t.Errorf("the connection did not survive malformed arguments: %v", err)
	}
}

func TestNilArgument(t *testing.T) {
	_, err := required[string]("Greet", args{"name": nil}, "name")
	if got, want := text(err), `Greet: argument "name": want string, got nil`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
