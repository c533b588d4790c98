// SPDX-License-Identifier: MPL-2.0

package gen

import (
	"path/filepath"
	"testing"

	"github.com/reattach/reattach/gen"
)

// TestProtoByJSON calls a plugin whose contract is a .proto file with messages of protocol
// buffers' own: by the commands of its daemon, and by those that know contract.json alone.
func TestProtoByJSON(t *testing.T) {
	dir := module(t)
	clock := filepath.Join(dir, "clock")
	copyFile(t, "testdata/protos/clock/clock.proto", filepath.Join(clock, "clock.proto"))
	copyFile(t, "testdata/protos/clock/plugin.go.txt", filepath.Join(clock, "plugin", "main.go"))
	copyFile(t, "testdata/protos/clock/daemon.go.txt", filepath.Join(clock, "daemon", "main.go"))
	if err := gen.Run(t.Context(), gen.Options{Dir: clock, Interfaces: []string{"clock.proto"}}); err != nil {
		t.Fatal(err)
	}
	daemon, plugin, reattach := filepath.Join(dir, "bin", "daemon"), filepath.Join(dir, "plugins", "clock.po"), filepath.Join(dir, "bin", "reattach")
	run(t, dir, "go", "build", "-o", daemon, "./clock/daemon")
	run(t, dir, "go", "build", "-o", plugin, "./clock/plugin")
	run(t, "../../cmd/reattach", "go", "build", "-o", reattach, ".")
	calls := []struct {
		args []string
		want string
	}{
		{[]string{"Now"}, `"2026-01-02T03:04:05Z"`},
		{[]string{"Set", "2027-01-02T03:04:05Z"}, "null"},
		{[]string{"Add", "90s"}, `"2026-01-02T03:05:35Z"`},
		{[]string{"Zone", "Berlin"}, `{"hours":1,"name":"Berlin"}`},
		{[]string{"Pick", "name,hours"}, `["name","hours"]`},
		{[]string{"Keep", `[{"@type": "type.googleapis.com/google.protobuf.Duration", "value": "3s"}]`}, "true"},
		{[]string{"Reset"}, "null"},
	}
	env := []string{"PLUGIN_DIR=" + filepath.Dir(plugin)}
	for _, version := range []string{"1", "2"} {
		for _, c := range calls {
			args := append([]string{"call", "clock", "clock." + c.args[0]}, c.args[1:]...)
			if code, out := said(t, append(env, "CONTRACT_VERSIONS="+version), daemon, args...); code != 0 || out != c.want {
				t.Errorf("%v of the daemon, version %s: %d, %s; want %s", c.args, version, code, out, c.want)
			}
			byContract := append([]string{"--contract", filepath.Join(clock, "contract.json"), "--versions", version}, args...)
			if code, out := said(t, env, reattach, byContract...); code != 0 || out != c.want {
				t.Errorf("%v by contract.json, version %s: %d, %s; want %s", c.args, version, code, out, c.want)
			}
		}
	}
	for _, c := range []struct {
		program []string
		args    []string
		code    int
		want    string
	}{
		{[]string{daemon}, []string{"Alarm", `{"request": {"name": "Ada", "at": "2026-01-02T03:04:05Z"}}`}, 0, "3"},
		{[]string{daemon}, []string{"Alarm", `{"request": {"nam": "Ada"}}`}, 2, `daemon: arguments do not fit Alarm(context.Context, request *clockpb.AlarmRequest) (*wrapperspb.Int64Value, error): argument "request": unknown field "nam"`},
		{[]string{daemon}, []string{"Set"}, 2, `daemon: arguments do not fit Set(context.Context, request *timestamppb.Timestamp) error: argument "request" is missing: it takes 1 argument, got 0`},
		{[]string{daemon}, []string{"Set", "noon"}, 2, `daemon: arguments do not fit Set(context.Context, request *timestamppb.Timestamp) error: argument "request": invalid google.protobuf.Timestamp value "noon"`},
		{[]string{reattach, "--cookie", "CLOCK_PLUGIN=clock"}, []string{"Now"}, 0, `"2026-01-02T03:04:05Z"`},
		{[]string{reattach, "--cookie", "CLOCK_PLUGIN=clock"}, []string{"Zone", "Berlin"}, 0, `{"hours":1,"name":"Berlin"}`},
		{[]string{reattach, "--cookie", "CLOCK_PLUGIN=clock"}, []string{"Ticks"}, 0, "\"2026-01-02T03:04:05Z\"\n\"2026-01-02T03:04:06Z\""},
		{[]string{reattach, "--contract", filepath.Join(clock, "contract.json")}, []string{"Set", "noon"}, 2, `reattach: arguments do not fit Set(value google.protobuf.Timestamp) error: argument "value": "noon" is not google.protobuf.Timestamp, as JSON has it`},
		{[]string{reattach, "--contract", filepath.Join(clock, "contract.json"), "--versions", "1"}, []string{"Ticks"}, 2, "reattach: clock.Ticks cannot be called with JSON: it is a stream"},
	} {
		args := append(append(c.program[1:], "call", "clock", "clock."+c.args[0]), c.args[1:]...)
		if code, out := said(t, env, c.program[0], args...); code != c.code || out != c.want {
			t.Errorf("%v: %d, %s\nwant %d, %s", args, code, out, c.code, c.want)
		}
	}
}
