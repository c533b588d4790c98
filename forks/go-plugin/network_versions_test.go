// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/env"
	"github.com/hashicorp/go-plugin/internal/hello"
)

// mounts holds a value for each mount of a host, as Vault's plugins do: since
// version 5 by the mount's id, before that one for each session.
type mounts struct {
	plugin.NetRPCUnsupportedPlugin
	keyed bool
}

func (m mounts) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	s.RegisterService(mountsDesc(), &mountTable{keyed: m.keyed, values: map[string]string{}})
	return nil
}

func (mounts) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

type mountTable struct {
	keyed  bool
	mu     sync.Mutex
	values map[string]string
}

// do takes "mount" or "mount=value", and answers with the mount's value.
func (m *mountTable) do(text string) string {
	mount, value, set := strings.Cut(text, "=")
	if !m.keyed {
		mount = ""
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if set {
		m.values[mount] = value
	}
	return m.values[mount]
}

func mountsDesc() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{ServiceName: "test.Mounts", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
		MethodName: "Do",
		Handler: func(srv any, _ context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			in := new(wrapperspb.StringValue)
			if err := dec(in); err != nil {
				return nil, err
			}
			return wrapperspb.String(srv.(*mountTable).do(in.GetValue())), nil
		},
	}}}
}

// mountVersions is a plugin that also speaks net/rpc, in version 4.
func mountVersions() map[int]plugin.PluginSet {
	return map[int]plugin.PluginSet{
		3: {"mounts": mounts{}}, 4: {"mounts": &echoPlugin{impl: newEchoImpl()}}, 5: {"mounts": mounts{keyed: true}},
	}
}

// dialPlain connects as any gRPC client does, without the handshake.
func dialPlain(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// keepsMountsApart reports whether one session serves two mounts.
func keepsMountsApart(t *testing.T, addr string) bool {
	t.Helper()
	conn := dialPlain(t, addr)
	do := func(text string) string {
		out := new(wrapperspb.StringValue)
		if err := conn.Invoke(t.Context(), "/test.Mounts/Do", wrapperspb.String(text), out); err != nil {
			t.Fatal(err)
		}
		return out.GetValue()
	}
	do("one=1")
	do("two=2")
	return do("one") == "1"
}

// A host that was told a version by the printed line, and attaches without the
// handshake, is served that version.
func TestAnnouncedVersionIsServed(t *testing.T) {
	cases := map[string]struct {
		env   []string
		line  string
		apart bool
	}{
		"nothing said":       {nil, "1|3|tcp|", false},
		"host's versions":    {[]string{env.ProtocolVersions + "=5"}, "1|5|tcp|", true},
		"operator's version": {[]string{env.DefaultVersion + "=5"}, "1|5|tcp|", true},
		"both":               {[]string{env.ProtocolVersions + "=5", env.DefaultVersion + "=3"}, "1|3|tcp|", false},
		"another protocol":   {[]string{env.DefaultVersion + "=4"}, "1|4|tcp|", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append([]string{envRole + "=mounts", "TEST_PLUGIN=hello", env.Host + "=127.0.0.1"}, tc.env...)
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			}()
			line, err := bufio.NewReader(stdout).ReadString('\n')
			if err != nil || !strings.HasPrefix(line, tc.line) {
				t.Fatalf("line %q, %v, want %s", line, err, tc.line)
			}
			if apart := keepsMountsApart(t, strings.Split(line, "|")[3]); apart != tc.apart {
				t.Errorf("mounts of one session are apart: %v, want %v", apart, tc.apart)
			}
		})
	}
}

func TestDefaultVersionMustBeServed(t *testing.T) {
	opts := &plugin.ServeConfig{
		VersionedPlugins: mountVersions(), GRPCServer: plugin.DefaultGRPCServer, Logger: hclog.NewNullLogger(),
		Network: &plugin.NetworkConfig{DefaultVersion: 7},
	}
	_, err := plugin.NewHostSession(opts, nil, hello.Agreement{})
	if err == nil || !strings.Contains(err.Error(), "PLUGIN_DEFAULT_VERSION asks for app version 7: this plugin has [5 4 3]") {
		t.Errorf("error %v", err)
	}
	t.Setenv(env.DefaultVersion, "five")
	if _, err := plugin.NetworkConfigFromEnv(); err == nil || !strings.Contains(err.Error(), env.DefaultVersion) {
		t.Errorf("error %v", err)
	}
}

// A host that reattaches names the version of its Plugins beside the address, as
// Terraform does, whose handshake has another or none: the original library looks at
// no other version there.
func TestReattachNamesTheVersionOfPlugins(t *testing.T) {
	cases := map[string]struct {
		reason                     string
		handshake, reattach, serve int
		versioned                  bool // the host's kinds of version 6 are in VersionedPlugins
		want                       int  // zero: refused
	}{
		"handshake without a version": {"only Reattach names one", 0, 6, 6, false, 6},
		"handshake with another":      {"Reattach is closer to the plugin", 4, 6, 6, false, 6},
		"plugin of the handshake's":   {"what was right before Reattach said more stays so", 4, 6, 4, false, 4},
		"kinds of that version":       {"VersionedPlugins say more than Plugins", 4, 6, 6, true, 6},
		"nothing named":               {"zero is a version like any other", 0, 0, 6, false, 0},
		"only the handshake's":        {"nothing says that the host knows 6", 4, 0, 6, false, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := serveEcho(t, func(o *plugin.ServeConfig) { o.ProtocolVersion = uint(tc.serve) })
			cfg := p.clientConfig()
			cfg.ProtocolVersion, cfg.Reattach.ProtocolVersion = uint(tc.handshake), tc.reattach
			if tc.versioned {
				cfg.VersionedPlugins, cfg.Plugins = map[int]plugin.PluginSet{6: cfg.Plugins}, plugin.PluginSet{}
			}
			session, err := plugin.Attach(t.Context(), cfg)
			if tc.want == 0 {
				var refused *plugin.RefusedError
				if !errors.As(err, &refused) || refused.Code != hello.CodeVersion {
					t.Errorf("%s: error %v, want a refusal of the version", tc.reason, err)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			defer session.Close()
			if session.Version() != tc.want {
				t.Errorf("%s: version %d, want %d", tc.reason, session.Version(), tc.want)
			}
			mustEcho(t, session)
			if tc.want != tc.reattach {
				return
			}

			legacy, err := plugin.AttachLegacy(t.Context(), cfg)
			if err != nil {
				t.Fatalf("%s: without the handshake: %v", tc.reason, err)
			}
			defer legacy.Close()
			mustEcho(t, legacy)
		})
	}
}

func mustEcho(t *testing.T, from interface {
	Dispense(string) (interface{}, error)
}) {
	t.Helper()
	if reply, err := dispenseEcho(t, from).Echo("here"); reply != "here" || err != nil {
		t.Errorf("Echo = %q, %v", reply, err)
	}
}
