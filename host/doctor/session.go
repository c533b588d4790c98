// SPDX-License-Identifier: MPL-2.0

package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/services"
)

// hello attaches. That version or protocol are refused is for the next hop to say.
func (v *visit) hello(ctx context.Context) (string, error) {
	config := v.Contract.ClientConfig(v.ServerName)
	config.Reattach = &plugin.ReattachConfig{Addr: v.to}
	config.DialTimeout, config.PingTimeout, config.KeepaliveInterval = v.Timeout, v.Timeout, -1
	config.Logger = v.Logger
	var err error
	if config.TLSConfig, err = v.tlsConfig(); err != nil {
		return "", Find(HostTLSFiles, "%v", err) // it was good a moment ago
	}
	v.session, err = plugin.Attach(ctx, config)
	if attach.SpeaksOtherwise(err) {
		v.refused = err
		return "a plugin of this host's family answers", nil
	}
	if err != nil {
		return "", v.helloFinding(ctx, err, config.TLSConfig != nil)
	}
	v.info = attach.NewSession(v.session, attach.Details{}).Info()
	if v.session.Info() == nil {
		return "none: the plugin knows no handshake on the wire", nil
	}
	return strings.TrimSpace(fmt.Sprintf("%s, instance %s, built by %s", v.info.Name, v.info.Instance, cmp.Or(v.info.Build, "-"))), nil
}

// helloFinding tells from an error what is wrong with the handshake.
func (v *visit) helloFinding(ctx context.Context, err error, secure bool) *Finding {
	refused, isRefusal := errors.AsType[*plugin.RefusedError](err)
	seen := conn.BareCause(err.Error())
	switch {
	case isRefusal && refused.Code == plugin.RefusedCookie:
		return Find(OtherCookie, "%v", refused)
	case isRefusal && refused.Code == plugin.RefusedBusy:
		return Find(Busy, "%v", refused)
	case isRefusal && refused.Code == plugin.RefusedDraining:
		return Find(Draining, "%v", refused)
	case isRefusal:
		return Find(Refused, "%v (%s)", refused, refused.Code)
	case errors.Is(err, plugin.ErrTLS) && secure:
		return Find(HostTurnedDown, "%s", seen)
	case errors.Is(err, plugin.ErrTLS):
		return Find(PluginWantsTLS, "%s", seen)
	case errors.Is(err, plugin.ErrNotPlugin):
		return Find(NotPlugin, "%s", seen)
	case ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded):
		return Find(SaysNothing, "no answer to the handshake within %s", v.Timeout)
	}
	return Find(HungUp, "%s", seen)
}

func (v *visit) version(context.Context) (string, error) {
	if v.refused == nil {
		return fmt.Sprintf("%d over %s", v.session.Version(), v.session.Protocol()), nil
	}
	refused, ok := errors.AsType[*plugin.RefusedError](v.refused)
	switch {
	case !ok: // a plugin without the handshake
		return "", Find(OtherVersion, "%v", v.refused)
	case refused.Code == plugin.RefusedProtocol:
		return "", Find(OtherProtocol, "%v", refused)
	}
	return "", Find(OtherVersion, "%v", refused)
}

// contract fails where the host's interfaces have methods that the plugin lacks.
func (v *visit) contract(ctx context.Context) (string, error) {
	if v.info.Kinds == nil {
		return "the plugin does not tell" + v.reflected(ctx), nil
	}
	said, common := make([]string, 0, len(v.info.Kinds)), 0
	for _, k := range v.info.Kinds {
		methods := make([]string, 0, len(k.Methods))
		for _, m := range k.Methods {
			methods = append(methods, m.Name)
		}
		said = append(said, k.Name+" {"+strings.Join(methods, ", ")+"}")
		for i := range v.Kinds {
			if v.Kinds[i].Name() == k.Name {
				common++
			}
		}
	}
	if err := daemon.CheckContract(v.Kinds, v.info); err != nil {
		return "", Find(OtherContract, "%v", err)
	}
	if common == 0 && len(v.Kinds) > 0 {
		return "", Find(NoKind, "the plugin serves %s", cmp.Or(strings.Join(said, ", "), "nothing"))
	}
	return strings.Join(said, ", "), nil
}

// reflected is what server reflection says of a plugin that does not tell its kinds; "" if
// there is none.
func (v *visit) reflected(ctx context.Context) string {
	c, ok := v.session.ClientConn()
	if !ok {
		return ""
	}
	all, _ := services.List(ctx, c) // some of them, or none, if reflection fails
	var said []string
	for _, s := range all {
		methods := make([]string, len(s.Methods))
		for i, m := range s.Methods {
			methods[i] = m.Name
		}
		said = append(said, s.Name+" {"+strings.Join(methods, ", ")+"}")
	}
	if len(said) == 0 {
		return ""
	}
	return "; its gRPC services are " + strings.Join(said, ", ")
}

// health asks a gRPC plugin, and a server that knows no name for it as a whole; one of
// net/rpc has no more to say than its ping.
func (v *visit) health(ctx context.Context) (string, error) {
	select {
	case <-v.session.Draining():
		return "", Find(NotServing, "the plugin is about to leave: it takes no new calls")
	default:
	}
	c, ok := v.session.ClientConn()
	if !ok {
		return "not draining; net/rpc tells no more", nil
	}
	client := grpc_health_v1.NewHealthClient(c)
	answer, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: plugin.GRPCServiceName})
	if status.Code(err) == codes.NotFound {
		answer, err = client.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	}
	switch {
	case status.Code(err) == codes.Unimplemented:
		return "the plugin has no health service", nil
	case err != nil:
		return "", Find(NotServing, "the plugin does not say its health: %v", err)
	case answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING:
		return "", Find(NotServing, "health is %s", answer.GetStatus())
	}
	return answer.GetStatus().String(), nil
}

func (v *visit) ping(ctx context.Context) (string, error) {
	if err := v.session.PingContext(ctx); err != nil {
		return "", Find(NoPing, "%v", err)
	}
	return "answered", nil
}
