// SPDX-License-Identifier: MPL-2.0

package adoption

import (
	"bytes"
	"fmt"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// TestExposeKeepsHostsApart has hosts configure one exposed plugin, each as it likes:
// with a process for each of them, none ever has an answer of another's configuration.
func TestExposeKeepsHostsApart(t *testing.T) {
	const hosts = 5
	calls, total := 200, 0
	if *all {
		calls = 660
	}
	for _, host := range []side{ours, upstream} {
		for _, protocol := range []string{"netrpc", "grpc"} {
			t.Run(fmt.Sprintf("%s/%s", host, protocol), func(t *testing.T) {
				e := startExpose(t, upstream, protocol, "--share", "host")
				wrong := mixed(t, e, host, hosts, calls)
				if wrong > 0 {
					t.Errorf("%d of %d answers were of another host's configuration", wrong, hosts*calls)
				}
				total += hosts * calls
				counted(t, "mixed", int64(wrong))
			})
		}
	}
	t.Run("all", func(t *testing.T) {
		// The test is worth nothing if the plugin does not remember.
		if e := startExpose(t, upstream, "grpc"); mixed(t, e, upstream, 2, 10) == 0 {
			t.Error("hosts that share a process do not see each other's configuration")
		}
	})
	counted(t, "calls", int64(total))
	t.Logf("%d calls of %d hosts each time, none mixed", total, hosts)
}

// mixed counts the answers that are not what a host has configured.
func mixed(t *testing.T, e *exposed, host side, hosts, calls int) int {
	procs := make([]*hostProc, hosts)
	for i := range procs {
		procs[i] = startHost(t, host)
		procs[i].Open(e.client("a", host))
		procs[i].Must("Put", hostapi.Entry{Name: "a", Key: "configured", Value: fmt.Append(nil, i)}, none)
	}
	wrong := make([]int, hosts)
	var all sync.WaitGroup
	for i, h := range procs {
		all.Go(func() {
			for range calls {
				var got hostapi.Entry
				if err := h.Do("Get", hostapi.Entry{Name: "a", Key: "configured"}, &got); err != nil {
					t.Error(err)
					return
				}
				if !bytes.Equal(got.Value, fmt.Append(nil, i)) {
					wrong[i]++
				}
			}
		})
	}
	all.Wait()
	sum := 0
	for _, n := range wrong {
		sum += n
	}
	return sum
}

// TestExposeChildIsKilled kills the process under load: unchanged hosts lose the call that
// each has in flight, and no other. Each makes one call at a time, so that it loses one and
// not a second. A call counts as in flight also when it is sent in the moment between the
// process's end and that of the host's connection, which is what tells the host; how many
// of these there were is counted apart.
func TestExposeChildIsKilled(t *testing.T) {
	const hosts = 8
	e := startExpose(t, upstream, "grpc")
	procs := make([]*hostProc, hosts)
	for i := range procs {
		procs[i] = startHost(t, upstream)
		procs[i].Open(e.client("a", upstream))
	}
	pid := procs[0].pid("a")
	var calls, failed, late atomic.Int64
	var loads sync.WaitGroup
	for i, h := range procs {
		loads.Go(func() {
			// Calls that do not ask for what another one has left: the next process has nothing of it.
			for after, lost := 0, 0; after < 100; calls.Add(1) {
				ended := gone(pid)
				switch _, err := h.Act("a", "report", "", 0); {
				case err != nil:
					if failed.Add(1); ended {
						late.Add(1)
					}
					if lost++; lost > 1 {
						t.Errorf("host %d: call %d after one that failed: %v", i, after, err)
						return
					}
				case gone(pid):
					after++
				}
			}
		})
	}
	time.AfterFunc(time.Second, func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	loads.Wait()
	if now := procs[0].pid("a"); now == pid || failed.Load() == 0 {
		t.Errorf("the process was %d and is %d, and %d calls have failed", pid, now, failed.Load())
	}
	counted(t, "calls", calls.Load())
	counted(t, "lost_in_flight", failed.Load())
	counted(t, "of_them_begun_after_its_end", late.Load())
	t.Logf("%d calls of %d hosts, %d failed when the process was killed, %d of which began after its end", calls.Load(), hosts, failed.Load(), late.Load())
}

// TestExposeOneBroker has two hosts want callbacks of one process.
func TestExposeOneBroker(t *testing.T) {
	e := startExpose(t, upstream, "grpc")
	first, second := startHost(t, upstream), startHost(t, ours)
	first.Open(e.client("a", upstream))
	first.Must("UseCallback", hostapi.Count{Name: "a", Count: 1}, &hostapi.Outcome{})
	second.Open(e.client("a", ours))
	var said string
	kit.Eventually(t, "the second host is told", func() bool {
		err := second.Do("UseCallback", hostapi.Count{Name: "a", Count: 1}, &hostapi.Outcome{})
		if err != nil {
			said = err.Error()
		}
		return bytes.Contains([]byte(said), []byte("--share=host"))
	})
	first.Must("UseCallback", hostapi.Count{Name: "a", Count: 1}, &hostapi.Outcome{})
	t.Log(said)
}

// TestExposeBadInput holds what goes wrong to one clear line and an exit code, in time.
func TestExposeBadInput(t *testing.T) {
	plugin := programs(t).plugin(upstream)
	dir := t.TempDir()
	text, plain := writeFile(t, dir+"/text", 0o755), writeFile(t, dir+"/plain", 0o644)
	cases := map[string]struct {
		args   []string
		config hostapi.Plugin
		env    string
		code   int
		says   string
	}{
		"no executable":       {args: []string{}, code: 2, says: "name the executable"},
		"a missing file":      {args: []string{"--", dir + "/missing"}, code: 2, says: dir + "/missing: the file does not exist"},
		"not executable":      {args: []string{"--", plain}, code: 2, says: "not executable: try chmod +x"},
		"a directory":         {args: []string{"--", dir}, code: 2, says: "directory"},
		"no program":          {args: []string{"--cookie", cookie, "--versions", "1", "--", text}, code: 3, says: "exec format error"},
		"no plugin":           {args: []string{"--cookie", cookie, "--versions", "1", "--", "/bin/echo", "hello there"}, code: 3, says: "hello there"},
		"a share":             {args: []string{"--share", "some", "--", plugin}, code: 2, says: `share is "some": want all, host or session`},
		"a cookie":            {args: []string{"--cookie", "x", "--", plugin}, code: 2, says: `invalid argument "x" for "--cookie" flag: want KEY=VALUE`},
		"no cookie's text":    {args: []string{"--cookie", "", "--", plugin}, code: 2, says: `invalid argument "" for "--cookie" flag: want KEY=VALUE`},
		"two cookies":         {args: []string{"--cookie", "A=b", "--cookie", "C=d", "--", plugin}, code: 2, says: "it is given twice"},
		"no versions":         {args: []string{"--versions", "", "--", plugin}, code: 2, says: `"--versions" flag: want versions such as 5,6`},
		"a negative version":  {args: []string{"--versions=-1", "--", plugin}, code: 2, says: `"--versions" flag: want versions such as 5,6`},
		"no time to start":    {args: []string{"--start-timeout", "0s", "--", plugin}, code: 2, says: "--start-timeout 0s: want more than zero"},
		"no children":         {args: []string{"--max-children", "0", "--", plugin}, code: 2, says: "--max-children 0: want 1 or more"},
		"two reasons":         {args: []string{"--recycle-after", "5,7", "--", plugin}, code: 2, says: `--recycle-after "7" is a second number of calls`},
		"an abstract socket":  {args: []string{"--listen", "unix:@store", "--", plugin}, code: 2, says: `--listen is "unix:@store": abstract sockets have no permissions`},
		"a relative socket":   {args: []string{"--listen", "unix:store.sock", "--", plugin}, code: 2, says: "want an absolute path"},
		"a file in its place": {args: []string{"--listen", "unix://" + plain, "--", plugin}, code: 2, says: "--listen: " + plain + " exists and is no socket"},
		"no such directory":   {args: []string{"--listen", "unix://" + dir + "/none/x.sock", "--", plugin}, code: 2, says: "/none does not exist: create it"},
		"a socket's mode":     {args: []string{"--listen", "unix://" + dir + "/x.sock", "--", plugin}, env: "PLUGIN_UNIX_SOCKET_MODE=rw", code: 2, says: `PLUGIN_UNIX_SOCKET_MODE is "rw"`},
		"a health address":    {args: []string{"--", plugin}, env: "PLUGIN_HEALTH_ADDR=nowhere", code: 2, says: "nowhere"},
		"a TLS file":          {args: []string{"--", plugin}, env: "PLUGIN_TLS_CERT_FILE=" + dir + "/missing", code: 2, says: "PLUGIN_TLS_"},
		"a reason":            {args: []string{"--recycle-after", "soon", "--", plugin}, code: 2, says: `--recycle-after "soon": want a number of calls`},
		"an address":          {args: []string{"--listen", "nowhere", "--", plugin}, code: 2, says: "--listen nowhere"},
		"no cookie":           {args: []string{"--print-reattach", "--", plugin}, code: 2, says: "name it with --cookie"},
		"strangers":           {args: []string{"--listen", "0.0.0.0:0", "--", plugin}, code: 2, says: "--listen 0.0.0.0:0 can be reached from elsewhere"},
		"strangers by TLS":    {args: []string{"--listen", "[::]:0", "--", plugin}, code: 2, says: "PLUGIN_TLS_CLIENT_CA_FILE"},
		"a variable's cookie": {args: []string{"--", plugin}, env: "BASIC_COOKIE=x", code: 2, says: `BASIC_COOKIE "x": want KEY=VALUE`},
		"another cookie":      {args: []string{"--cookie", "OTHER=x", "--versions", "1", "--", plugin}, code: 3, says: "it does not know the magic cookie OTHER"},
		"no common version":   {args: []string{"--cookie", cookie, "--versions", "9", "--", plugin}, code: 3, says: "incompatible API version with plugin. Plugin version: 1, Client versions: [9]"},
		"it never speaks":     {args: []string{"--cookie", cookie, "--versions", "1", "--start-timeout", "500ms", "--", plugin}, config: hostapi.Plugin{HangFirst: true}, code: 3, says: "timeout while waiting for plugin to start"},
		"it exits at once":    {args: []string{"--cookie", cookie, "--versions", "1", "--", plugin}, config: hostapi.Plugin{ExitFirst: 4}, code: 3, says: "exit status 4"},
		"a long socket path":  {args: []string{"--cookie", cookie, "--", plugin}, env: "PLUGIN_UNIX_SOCKET_DIR=/tmp/" + string(bytes.Repeat([]byte("x"), 100)), code: 2, says: "too long for sockets by"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.config.Versions = map[int]string{1: "grpc"}
			cmd := exec.Command(programs(t).basic(), append([]string{"expose", "--listen", "127.0.0.1:0"}, tc.args...)...)
			cmd.Env = append(programs(t).env(), tc.config.Env())
			if tc.env != "" {
				cmd.Env = append(cmd.Env, tc.env)
			}
			code, line := fails(t, cmd)
			if code != tc.code || !bytes.Contains(line, []byte(tc.says)) {
				t.Errorf("exit code %d, want %d; said %q, want %q", code, tc.code, line, tc.says)
			}
			t.Logf("%d: %s", code, line)
		})
	}
}
