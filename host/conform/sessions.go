// SPDX-License-Identifier: MPL-2.0

package conform

import (
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/reattach/reattach/host/target"
)

// attach makes a session as a host does. The caller closes it.
func (s *subject) attach(ctx context.Context) (*plugin.Session, error) {
	session, err := plugin.Attach(ctx, &plugin.ClientConfig{
		HandshakeConfig:   s.Handshake,
		VersionedPlugins:  s.Versions,
		AllowedProtocols:  []plugin.Protocol{plugin.ProtocolGRPC, plugin.ProtocolNetRPC},
		Reattach:          &plugin.ReattachConfig{Addr: target.NetAddr(s.Address)},
		TLSConfig:         s.TLS,
		DialTimeout:       s.Timeout,
		PingTimeout:       s.Timeout,
		KeepaliveInterval: -1,
		Logger:            hclog.NewNullLogger(),
	})
	if err != nil {
		return nil, fmt.Errorf("attach: %w", err)
	}
	return session, nil
}

func sessionCases() []testCase {
	const section = "7. A session"
	return []testCase{
		{"S01", section, "a session answers a ping", func(ctx context.Context, s *subject) error {
			return s.withSessions(ctx, 1, func(all []*plugin.Session) error { return nil })
		}},
		{"S02", section, "many hosts have sessions at once", func(ctx context.Context, s *subject) error {
			return s.withSessions(ctx, 20, func(all []*plugin.Session) error { return nil })
		}},
		{"S03", section, "the end of one host's session, by Quit, Shutdown or the connection, is nothing to the others", func(ctx context.Context, s *subject) error {
			return s.withSessions(ctx, 3, func(all []*plugin.Session) error {
				if err := all[0].Close(); err != nil {
					return fmt.Errorf("close: %w", err)
				}
				return all[1].PingContext(ctx)
			})
		}},
		{"S04", section, "the plugin lives on without hosts, as the same instance", func(ctx context.Context, s *subject) error {
			return s.withSessions(ctx, 1, func(all []*plugin.Session) error {
				if info := all[0].Info(); info != nil && s.answer != nil && info.Instance != s.answer.Instance {
					return wantf("instance "+s.answer.Instance, "%s", info.Instance)
				}
				return nil
			})
		}},
	}
}

// withSessions attaches n times, pings every session, and closes them after do.
func (s *subject) withSessions(ctx context.Context, n int, do func([]*plugin.Session) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	var all []*plugin.Session
	defer func() {
		for _, session := range all {
			_ = session.Close()
		}
	}()
	for range n {
		session, err := s.attach(ctx)
		if err != nil {
			return err
		}
		all = append(all, session)
	}
	for _, session := range slices.Backward(all) {
		if err := session.PingContext(ctx); err != nil {
			return fmt.Errorf("ping: %w", err)
		}
	}
	return do(all)
}

func grpcCases() []testCase {
	const section = "3. gRPC"
	all := []testCase{
		{"G01", section, "the health service says SERVING for the name plugin", nil},
		{"G02", section, "a method that does not exist is UNIMPLEMENTED, and the session goes on", nil},
		{"G03", "7. A session", "a plugin that grants goaway answers Health/Watch at once", nil},
	}
	for i, test := range []func(context.Context, *plugin.Session, *grpc.ClientConn) error{checkHealth, checkUnimplemented, checkWatch} {
		all[i].test = func(ctx context.Context, s *subject) error {
			return s.withSessions(ctx, 1, func(sessions []*plugin.Session) error {
				conn, ok := sessions[0].ClientConn()
				if !ok {
					return notApplicable("the session speaks net/rpc")
				}
				ctx, cancel := context.WithTimeout(ctx, s.Timeout)
				defer cancel()
				return test(ctx, sessions[0], conn)
			})
		}
	}
	return all
}

func checkHealth(ctx context.Context, session *plugin.Session, conn *grpc.ClientConn) error {
	request := &grpc_health_v1.HealthCheckRequest{Service: plugin.GRPCServiceName}
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, request)
	if status.Code(err) == codes.Unimplemented && session.Info() == nil {
		return notApplicable("the server has no health service")
	}
	if err == nil && answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		err = wantf("SERVING", "%s", answer.GetStatus())
	}
	return err
}

func checkUnimplemented(ctx context.Context, session *plugin.Session, conn *grpc.ClientConn) error {
	err := conn.Invoke(ctx, "/conform.None/None", &grpc_health_v1.HealthCheckRequest{}, &grpc_health_v1.HealthCheckResponse{})
	if status.Code(err) != codes.Unimplemented {
		return wantf("UNIMPLEMENTED", "%v", err)
	}
	return session.PingContext(ctx)
}

func checkWatch(ctx context.Context, session *plugin.Session, conn *grpc.ClientConn) error {
	if info := session.Info(); info == nil || !slices.Contains(info.Features, "goaway") {
		return notApplicable("the plugin does not grant goaway")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch, err := grpc_health_v1.NewHealthClient(conn).Watch(ctx, &grpc_health_v1.HealthCheckRequest{Service: plugin.GRPCServiceName})
	if err != nil {
		return err
	}
	answer, err := watch.Recv()
	if err == nil && answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		err = wantf("SERVING", "%s", answer.GetStatus())
	}
	return err
}
