// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// optionShapes are hosts that use the less common parts of ClientConfig.
func optionShapes() map[string]shape {
	all := map[string]shape{}
	for _, protocol := range []string{"netrpc", "grpc"} {
		plugin := single(protocol)
		client := hostapi.Client{Versions: plugin.Versions}
		own, managed, bare, shared := client, client, client, client
		own.Runner = true
		managed.Managed = true
		bare.SkipHostEnv = true
		shared.SocketGroup = fmt.Sprint(os.Getgid())
		shared.Runner = true
		loud := plugin
		loud.ComplainFirst = 4 << 10
		for name, s := range map[string]shape{
			"runner":       {"A RunnerFunc starts, translates and ends a plugin", plugin, own, (*shapeRun).byRunner},
			"managed":      {"CleanupClients ends what is managed", plugin, managed, (*shapeRun).cleanedUp},
			"bare":         {"SkipHostEnv keeps the host's environment from the plugin", plugin, bare, (*shapeRun).environment},
			"inherits":     {"Without it the plugin has the host's environment", plugin, client, (*shapeRun).environment},
			"socket-group": {"Sockets belong to the group, in a directory of their own", plugin, shared, (*shapeRun).sharedSocket},
			"stderr":       {"What a plugin writes to its first stderr goes to ClientConfig.Stderr", loud, client, (*shapeRun).rawStderr},
		} {
			all["option-"+protocol+"-"+name] = s
		}
	}
	broken := single("netrpc")
	broken.ExitFirst = 1
	all["option-runner-diagnoses"] = shape{
		"The error of a plugin that does not come up has the runner's diagnosis",
		broken, hostapi.Client{Versions: broken.Versions, Runner: true}, (*shapeRun).startFails,
	}
	return all
}

func (r *shapeRun) byRunner() {
	if !r.connect() {
		return
	}
	s := r.host.State("a")
	r.note("id is the runner's", strings.HasPrefix(s.ID, "process "), nil)
	var out hostapi.Outcome
	err := r.host.Do("UseCallback", hostapi.Count{Name: "a", Count: 5}, &out)
	r.note("plugin calls host", fmt.Sprint(out.N, out.Text), err)
	err = r.host.Do("OpenCallback", hostapi.Count{Name: "a", Count: 5}, &out)
	r.note("host calls plugin", fmt.Sprint(out.N, out.Text), err)
	pid := r.host.Report("a").Pid
	r.host.Must("Kill", hostapi.Named{Name: "a"}, &hostapi.None{})
	r.note("ended", kit.Within(kit.Patience, func() bool { return syscall.Kill(pid, 0) != nil }), nil)
	r.note("id afterwards", r.host.State("a").ID, nil)
}

func (r *shapeRun) cleanedUp() {
	if !r.connect() {
		return
	}
	pid := r.host.Started("a")
	r.note("clean up", "ok", r.host.Do("CleanupClients", hostapi.None{}, &hostapi.None{}))
	r.note("ended", kit.Within(kit.Patience, func() bool { return syscall.Kill(pid, 0) != nil }), nil)
	r.note("exited", r.host.State("a").Exited, nil)
}

// environment looks for a variable that every host has, and for what tells the
// plugin about its host.
func (r *shapeRun) environment() {
	if !r.connect() {
		return
	}
	for _, name := range []string{"PATH", "INTEROP_PLUGIN", "PLUGIN_MIN_PORT", "PLUGIN_MAX_PORT", "PLUGIN_PROTOCOL_VERSIONS"} {
		out, err := r.host.Act("a", "env", name, 0)
		if name == "PATH" {
			out.Text = ""
		}
		r.note(name, fmt.Sprint(out.N, " ", out.Text), err)
	}
}

func (r *shapeRun) sharedSocket() {
	if !r.connect() {
		return
	}
	var at hostapi.Outcome
	r.host.Must("Start", hostapi.Named{Name: "a"}, &at)
	path := strings.TrimPrefix(at.Text, "unix ")
	dir, err := r.host.Act("a", "env", "PLUGIN_UNIX_SOCKET_DIR", 0)
	r.note("socket is in its directory", dir.Text != "" && strings.HasPrefix(path, dir.Text+"/"), err)
	info, err := os.Stat(path)
	if err == nil {
		r.note("mode of the socket", info.Mode().Perm(), nil)
		r.note("group of the socket", info.Sys().(*syscall.Stat_t).Gid == uint32(os.Getgid()), nil)
	}
	r.note("the socket is there", "ok", err)
	r.host.Must("Kill", hostapi.Named{Name: "a"}, &hostapi.None{})
	_, err = os.Stat(dir.Text)
	r.note("the directory is removed", os.IsNotExist(err), nil)
}

func (r *shapeRun) rawStderr() {
	if !r.connect() {
		return
	}
	got := func() string { return r.host.Output("a").RawStderr }
	whole := kit.Within(kit.Patience, func() bool { return strings.Count(got(), "flood 0") == 64 })
	r.note("64 lines in ClientConfig.Stderr", whole, nil)
	r.note("64 lines in the log", strings.Count(strings.Join(r.host.Logs("a"), "\n"), "flood 0"), nil)
}
