// SPDX-License-Identifier: MPL-2.0

package attach_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/attach/dialertest"
	"github.com/reattach/reattach/host/attach/dialertest/served"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
	"github.com/reattach/reattach/test/kit"
)

// contract is what these tests agree on with the plugin.
func contract(protocols ...plugin.Protocol) attach.Contract {
	return attach.Contract{
		Handshake: commons.Handshake(),
		Versions: commons.Versions(plugin.PluginSet{
			commons.GreeterKind: &commons.GreeterPlugin{}, commons.PingPongerKind: &commons.PingPongerPlugin{},
		}),
		Protocols: protocols,
	}
}

// childAt is an endpoint of an executable; with its checksum, if there is one.
func childAt(t testing.TB, path string) target.Endpoint {
	t.Helper()
	e := target.Endpoint{ID: target.MakeID("zh", path), Plugin: "zh", Placement: target.Child, Address: path}
	if content, err := os.ReadFile(path); err == nil {
		sum := sha256.Sum256(content)
		e.Fingerprint = "sha256:" + hex.EncodeToString(sum[:])
	}
	return e
}

// self is the endpoint of this very test binary.
func self(t testing.TB) target.Endpoint {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return childAt(t, path)
}

// childDialer starts this test binary in a role.
func childDialer(t testing.TB, role string, change func(*attach.ChildOptions)) conn.Dialer {
	t.Helper()
	opts := attach.ChildOptions{Contract: contract(), Env: []string{envRole + "=" + role, quickExit}}
	if change != nil {
		change(&opts)
	}
	dialer, err := attach.Child(opts)
	if err != nil {
		t.Fatal(err)
	}
	return dialer
}

// script is an executable shell script.
func script(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "zh.po")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestChildConformance(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "running")
	dialertest.Run(t, dialertest.Harness{
		Dialer: func(t testing.TB, c attach.Contract) conn.Dialer {
			return childDialer(t, "served", func(o *attach.ChildOptions) { o.Contract = c })
		},
		Endpoint:  self,
		NotPlugin: func(t testing.TB) target.Endpoint { return childAt(t, script(t, "echo hello there")) },
		Stuck: func(t testing.TB) (target.Endpoint, func() bool) {
			return childAt(t, script(t, "touch "+mark+"; exec sleep 600")), func() bool {
				_, err := os.Stat(mark)
				return err == nil
			}
		},
		OwnProcess: true,
		Stops:      true,
	})
}

func TestChildFails(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain.po")
	if err := os.WriteFile(plain, []byte("not executable"), 0o644); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other.po")
	if err := os.WriteFile(other, []byte("\x7fELF of another machine"), 0o755); err != nil {
		t.Fatal(err)
	}
	replaced := self(t)
	replaced.Fingerprint = "sha256:" + strings.Repeat("00", 32)
	malformed := self(t)
	malformed.Fingerprint = "sha256:abc"
	cases := map[string]struct {
		reason    string
		role      string
		endpoint  target.Endpoint
		want      []string
		permanent bool
	}{
		"crash": {
			reason: "a crash may pass, and its first words say what it was", role: "crash", endpoint: self(t),
			want: []string{"exit status 2", "panic: the plugin crashes at start"},
		},
		"exit": {
			reason: "so may an exit", role: "exit", endpoint: self(t),
			want: []string{"exit status 7", "out of memory, or so"},
		},
		"silence": {
			reason: "a program that is no plugin may say nothing", role: "served", endpoint: childAt(t, script(t, "exit 0")),
			want: []string{"it ended (", "exit", "and wrote nothing: is it a plugin?"},
		},
		"no plugin": {
			reason: "a program that prints something else will do so again", role: "print", endpoint: self(t),
			want: []string{"Usage: other program"}, permanent: true,
		},
		"replaced": {
			reason: "what was discovered is what is started", role: "served", endpoint: replaced,
			want: []string{"checksums did not match"}, permanent: true,
		},
		"malformed checksum": {
			reason: "a mistake of the source", role: "served", endpoint: malformed,
			want: []string{`"sha256:abc"`}, permanent: true,
		},
		"absent": {
			reason: "it may come back", role: "served", endpoint: childAt(t, filepath.Join(t.TempDir(), "absent.po")),
			want: []string{"does not exist"},
		},
		"not executable": {
			reason: "chmod does not change the checksum", role: "served", endpoint: childAt(t, plain),
			want: []string{"chmod +x"},
		},
		"directory": {
			reason: "a directory is named as one", role: "served", endpoint: childAt(t, t.TempDir()),
			want: []string{"is a directory"},
		},
		"other format": {
			reason: "a file for another machine stays one", role: "served", endpoint: childAt(t, other),
			want: []string{"exec format error"}, permanent: true,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := childDialer(t, tc.role, nil).Dial(t.Context(), tc.endpoint)
			if err == nil {
				t.Fatalf("%s: no error", tc.reason)
			}
			for _, part := range append(tc.want, tc.endpoint.Address) {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%s: error %q lacks %q", tc.reason, err, part)
				}
			}
			if got := errors.Is(err, conn.ErrPermanent); got != tc.permanent {
				t.Errorf("%s: permanent %v, want %v: %v", tc.reason, got, tc.permanent, err)
			}
		})
	}
}

func TestChildStartTimeout(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "running")
	dialer := childDialer(t, "stuck", func(o *attach.ChildOptions) {
		o.StartTimeout = 300 * time.Millisecond
		o.Env = append(o.Env, envMark+"="+mark)
	})
	if _, err := dialer.Dial(t.Context(), self(t)); err == nil || !strings.Contains(err.Error(), "timeout while waiting for plugin to start") {
		t.Errorf("error %v, want a timeout", err)
	}
}

// TestChildLeavesNothing has a wrapper that leaves a process behind, which
// holds the plugin's output open.
func TestChildLeavesNothing(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	path := script(t, "sleep 600 & echo $! >"+pidFile+"; exec "+self(t).Address)
	session, err := childDialer(t, "served", func(o *attach.ChildOptions) {
		o.StopTimeout = 500 * time.Millisecond
	}).Dial(t.Context(), childAt(t, path))
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
	left, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	// It was killed, and is nobody's child by now: init reaps it when it likes.
	kit.Until(t, patience, "what the plugin started is gone", func() bool {
		state := processState(strings.TrimSpace(string(left)))
		return state == "" || state == "Z"
	})
}

// processState is the letter that /proc gives, "" for a process that is gone.
func processState(pid string) string {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return ""
	}
	_, after, _ := bytes.Cut(stat, []byte(") "))
	return string(after[:1])
}

// TestChildStopped closes the session of a process that was stopped: it cannot
// be asked to end.
func TestChildStopped(t *testing.T) {
	for _, protocol := range []plugin.Protocol{plugin.ProtocolNetRPC, plugin.ProtocolGRPC} {
		t.Run(string(protocol), func(t *testing.T) {
			session, err := childDialer(t, "served", func(o *attach.ChildOptions) {
				o.Contract = contract(protocol)
				if protocol == plugin.ProtocolNetRPC {
					delete(o.Contract.Versions, commons.VersionGRPC)
				}
				o.StopTimeout = 300 * time.Millisecond
			}).Dial(t.Context(), self(t))
			if err != nil {
				t.Fatal(err)
			}
			pid := pidOf(t, session)
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			if err := session.Close(); err != nil {
				t.Error(err)
			}
			if syscall.Kill(pid, 0) == nil {
				t.Errorf("process %d is left", pid)
			}
		})
	}
}

// TestChildTells holds that a child over net/rpc lists what it serves, and says when
// somebody else tells it to end.
func TestChildTells(t *testing.T) {
	session, err := childDialer(t, "served", func(o *attach.ChildOptions) {
		o.Contract = contract(plugin.ProtocolNetRPC)
		delete(o.Contract.Versions, commons.VersionGRPC)
	}).Dial(t.Context(), self(t))
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	info := session.Info()
	i := slices.IndexFunc(info.Kinds, func(k conn.Kind) bool { return k.Name == commons.GreeterKind })
	if i < 0 || len(info.Kinds[i].Methods) == 0 || info.Name == "" {
		t.Errorf("the child tells %+v, want its name and the methods of %s", info, commons.GreeterKind)
	}
	if err := syscall.Kill(pidOf(t, session), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-session.Draining()
	<-session.Done()
}

// TestChildOutput holds that log entries keep their level, that lines of the
// standard streams are logged, and that writers replace that.
func TestChildOutput(t *testing.T) {
	var log, stdout, stderr lockedBuffer
	logger := hclog.New(&hclog.LoggerOptions{Name: "host", Level: hclog.Debug, Output: &log, DisableTime: true})
	for name, output := range map[string]func(target.Endpoint) (io.Writer, io.Writer){
		"logged":  nil,
		"written": func(target.Endpoint) (io.Writer, io.Writer) { return &stdout, &stderr },
	} {
		t.Run(name, func(t *testing.T) {
			session, err := childDialer(t, "served", func(o *attach.ChildOptions) {
				o.Logger, o.Output = logger, output
			}).Dial(t.Context(), self(t))
			if err != nil {
				t.Fatal(err)
			}
			greetOnce(t, session, served.Print)
			if output != nil {
				kit.Until(t, patience, "the writers get the output", func() bool {
					return stdout.String() == "to stdout\n" && stderr.String() == "to stderr\n"
				})
			} else {
				kit.Until(t, patience, "the logger gets the output", func() bool {
					return strings.Contains(log.String(), "[INFO]  host.zh: to stdout: stream=stdout") &&
						strings.Contains(log.String(), "[INFO]  host.zh: to stderr: stream=stderr")
				})
			}
			if err := session.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	if want := "[INFO]  host." + filepath.Base(os.Args[0]) + ": the plugin logs: answer=42"; !strings.Contains(log.String(), want) {
		t.Errorf("the plugin's own log entry %q is not in\n%s", want, log.String())
	}
}

// TestChildEnv holds that the options win over what the host's environment
// says, and that what makes a plugin listen on the network is not inherited.
func TestChildEnv(t *testing.T) {
	t.Setenv(envRole, "crash")
	t.Setenv("PLUGIN_HOST", "true")
	session, err := childDialer(t, "served", nil).Dial(t.Context(), self(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
}

func TestChildAutoMTLS(t *testing.T) {
	session, err := childDialer(t, "served", func(o *attach.ChildOptions) { o.AutoMTLS = true }).Dial(t.Context(), self(t))
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	greetOnce(t, session, "Ada")
}

// lockedBuffer is a buffer that is written to while a test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
