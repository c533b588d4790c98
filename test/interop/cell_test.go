// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// cell is one combination of the matrix, without the two libraries.
type cell struct {
	protocol string // netrpc, grpc
	tls      string // plain, AutoMTLS, TLSProvider
	callback string // none, mux, grpc, multiplexed
	attach   string // child, reattach
}

func (c cell) String() string {
	return strings.Join([]string{c.protocol, c.tls, c.callback, c.attach}, "/")
}

func cells() []cell {
	var all []cell
	for _, protocol := range []string{"netrpc", "grpc"} {
		for _, tls := range []string{"plain", "AutoMTLS", "TLSProvider"} {
			for _, callback := range []string{"none", "mux", "grpc", "multiplexed"} {
				for _, attach := range []string{"child", "reattach"} {
					all = append(all, cell{protocol, tls, callback, attach})
				}
			}
		}
	}
	return all
}

// check is what a host saw when it did one thing.
type check struct {
	Name string
	Got  string
}

// observer runs the things that a host does in a cell and notes what it sees.
// The first refusal ends the cell: what comes after it depends on it.
type observer struct {
	t       *testing.T
	host    *hostProc // has the client "a"
	starter *hostProc // started the plugin: sees its stderr and its end
	cell    cell
	checks  []check
	refused string

	// forced is set if the host had to kill the plugin because it did not end
	// by itself. Upstream's net/rpc plugin may end before it has answered Quit,
	// which its host takes for a failure, so this is no check but a count.
	forced bool

	// log is what the library logged in the host that started the plugin.
	log string
}

// observe runs a cell with the given libraries.
func observe(t *testing.T, hostSide, pluginSide side, c cell, tlsDir string) *observer {
	t.Helper()
	o := &observer{t: t, cell: c, host: startHost(t, hostSide)}
	o.starter = o.host
	spec := o.spec(pluginSide, tlsDir)
	if c.attach == "reattach" {
		o.starter = startHost(t, hostSide)
		spec = o.reattached(spec)
	}
	o.host.Must("New", spec, &hostapi.None{})
	for _, step := range []func(){
		o.start, o.session, o.calls, o.streams, o.callbacks, o.output, o.end,
	} {
		if o.refused == "" {
			step()
		}
	}
	o.log = strings.Join(o.starter.Logs("a"), "\n")
	if o.refused != "" {
		o.starter.Must("Kill", hostapi.Named{Name: "a"}, &hostapi.None{})
	}
	return o
}

// spec is the configuration of the host that starts the plugin.
func (o *observer) spec(pluginSide side, tlsDir string) hostapi.Client {
	plugin := single(o.cell.protocol)
	spec := hostapi.Client{
		Name:     "a",
		Path:     peers(o.t).plugin(pluginSide),
		Versions: map[int]string{1: o.cell.protocol},
	}
	switch o.cell.tls {
	case "AutoMTLS":
		spec.TLS = "auto"
	case "TLSProvider":
		spec.TLS, plugin.TLSDir = tlsDir, tlsDir
	}
	spec.Multiplex = o.cell.callback == "multiplexed"
	spec.Env = []string{plugin.Env()}
	return spec
}

// reattached starts the plugin in the starter and returns the configuration
// that reattaches to it by its process id.
func (o *observer) reattached(spec hostapi.Client) hostapi.Client {
	o.starter.Must("New", spec, &hostapi.None{})
	o.starter.Must("Start", hostapi.Named{Name: "a"}, &hostapi.Outcome{})
	var r hostapi.Reattach
	o.starter.Must("ReattachConfig", hostapi.Named{Name: "a"}, &r)
	spec.Path, spec.Env, spec.Reattach = "", nil, &r
	return spec
}

// note records what came of a step. It reports whether there was no error.
func (o *observer) note(name string, got any, err error) bool {
	text := fmt.Sprint(got)
	if err != nil {
		text = "error: " + normal(err.Error())
	}
	o.checks = append(o.checks, check{name, text})
	return err == nil
}

// need is note for a step that the rest of the cell builds on.
func (o *observer) need(name string, got any, err error) bool {
	ok := o.note(name, got, err)
	if !ok {
		o.refused = name + ": " + normal(err.Error())
	}
	return ok
}

var volatile = regexp.MustCompile(`/[^ "]*/(plugin|interop)[^ "]*|pid[=:]? ?[0-9]+|0x[0-9a-f]+`)

// advice is the prose in which each library helps a person to find out why a
// plugin does not come up. It follows the error itself.
var advice = regexp.MustCompile(`(?s)\n(This usually means|The plugin did not give a valid handshake).*`)

// normal removes from a text what differs from run to run, and the advice.
func normal(text string) string {
	return volatile.ReplaceAllString(advice.ReplaceAllString(text, "\n(advice)"), "*")
}

func (o *observer) start() {
	a := hostapi.Named{Name: "a"}
	var out hostapi.Outcome
	if !o.need("start", "ok", o.host.Do("Start", a, &out)) {
		return
	}
	network, _, _ := strings.Cut(out.Text, " ")
	o.note("network", network, nil)
	if o.cell.tls == "AutoMTLS" && o.cell.attach == "reattach" {
		o.withoutCertificate()
		return
	}
	if !o.need("connect", "ok", o.host.Do("Connect", a, &hostapi.Connection{})) {
		return
	}
	s := o.host.State("a")
	o.note("state", fmt.Sprintf("exited=%v version=%d protocol=%s context done=%v", s.Exited, s.Version, s.Protocol, s.ContextDone), nil)
	o.note("id is the pid", s.ID == fmt.Sprint(o.starter.Started("a")), nil)
}

// withoutCertificate attaches to a plugin whose one-time certificate only its
// starter knows, which cannot work. The plugin hangs up on what it takes for a
// broken TLS handshake, and whether that is noticed when connecting or at the
// first call is a matter of microseconds, so the two are one check.
func (o *observer) withoutCertificate() {
	a := hostapi.Named{Name: "a"}
	err := o.host.Do("Connect", a, &hostapi.Connection{})
	if err == nil {
		err = o.host.Do("Ping", a, &hostapi.None{})
	}
	o.note("refused without the one-time certificate", err != nil, nil)
	if err != nil {
		o.refused = "no one-time certificate: the plugin hangs up"
	}
}

func (o *observer) session() {
	a := hostapi.Named{Name: "a"}
	if !o.need("ping", "ok", o.host.Do("Ping", a, &hostapi.None{})) {
		return
	}
	o.need("dispense", "ok", o.host.Do("Dispense", hostapi.Kind{Name: "a", Kind: "store"}, &hostapi.None{}))
}

func (o *observer) calls() {
	entry := hostapi.Entry{Name: "a", Key: "colour", Value: []byte("blue")}
	if !o.need("put", "ok", o.host.Do("Put", entry, &hostapi.None{})) {
		return
	}
	var got hostapi.Entry
	err := o.host.Do("Get", hostapi.Entry{Name: "a", Key: "colour"}, &got)
	o.note("get", string(got.Value), err)
	err = o.host.Do("Get", hostapi.Entry{Name: "a", Key: "no such"}, &got)
	o.note("error of the plugin", "none", err)
	err = o.host.Do("Dispense", hostapi.Kind{Name: "a", Kind: "no such"}, &hostapi.None{})
	o.note("dispense of an unknown kind", "ok", err)
}

func (o *observer) streams() {
	var out hostapi.Outcome
	err := o.host.Do("List", hostapi.Count{Name: "a", Count: 50}, &out)
	o.note("stream from the plugin", out.N, err)
	err = o.host.Do("Echo", hostapi.Count{Name: "a", Count: 20}, &out)
	o.note("stream both ways", out.N, err)
}

// callbacks runs what the cell's kind of callback means for its protocol. A
// kind that the protocol does not have is dispensed all the same, to see who
// refuses it, and how.
func (o *observer) callbacks() {
	dispense := func(kind string) {
		err := o.host.Do("Dispense", hostapi.Kind{Name: "a", Kind: kind}, &hostapi.None{})
		if !o.note("dispense of "+kind, "ok", err) {
			o.refused = "callback: " + normal(err.Error())
		}
	}
	switch {
	case o.cell.callback == "none":
	case o.cell.callback == "mux" && o.cell.protocol == "grpc":
		dispense("rpconly")
	case o.cell.callback == "grpc" && o.cell.protocol == "netrpc":
		dispense("grpconly")
	default:
		var out hostapi.Outcome
		for i := range 3 {
			err := o.host.Do("UseCallback", hostapi.Count{Name: "a", Count: 5}, &out)
			o.note(fmt.Sprintf("plugin calls host, round %d", i), fmt.Sprint(out.N, out.Text), err)
			err = o.host.Do("OpenCallback", hostapi.Count{Name: "a", Count: 41}, &out)
			o.note(fmt.Sprintf("host calls plugin, round %d", i), fmt.Sprint(out.N, out.Text), err)
		}
	}
	if o.refused != "" {
		// The refusal concerns the one kind: the session must still serve.
		o.note("the session goes on", "ok", o.host.Do("Ping", hostapi.Named{Name: "a"}, &hostapi.None{}))
	}
}

func (o *observer) output() {
	_, err := o.host.Act("a", "say", "to stdout\n", 0)
	o.note("print to stdout", "ok", err)
	_, err = o.host.Act("a", "complain", "to stderr\n", 0)
	o.note("print to stderr", "ok", err)
	kit.Within(kit.Patience, func() bool {
		out := o.host.Output("a")
		return strings.Contains(out.Stdout, "to stdout\n") && strings.Contains(out.Stderr, "to stderr\n")
	})
	out := o.host.Output("a")
	o.note("stdout in the host", out.Stdout, nil)
	o.note("stderr in the host", out.Stderr, nil)
	_, err = o.host.Act("a", "log", "a message for the log", 0)
	o.note("log", "ok", err)
	var line string
	kit.Within(kit.Patience, func() bool {
		for _, each := range o.starter.Logs("a") {
			if strings.Contains(each, "a message for the log") {
				line = each
			}
		}
		return line != ""
	})
	before, _, _ := strings.Cut(line, " timestamp=")
	o.note("log line in the host that started the plugin", before, nil)
}

func (o *observer) end() {
	pid := o.starter.Started("a")
	o.host.Must("Kill", hostapi.Named{Name: "a"}, &hostapi.None{})
	gone := kit.Within(kit.Patience, func() bool { return syscall.Kill(pid, 0) != nil })
	o.note("process ended by kill", gone, nil)
	exited := kit.Within(kit.Patience, func() bool { return o.host.State("a").Exited })
	o.note("exited after kill", exited, nil)
	for _, line := range o.host.Logs("a") {
		o.forced = o.forced || strings.Contains(line, "failed to exit gracefully")
	}
	err := o.host.Do("Ping", hostapi.Named{Name: "a"}, &hostapi.None{})
	o.note("ping after kill fails", err != nil, nil)
}
