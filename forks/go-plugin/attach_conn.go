// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"fmt"
	"net"
)

// AttachConn makes a session with a network plugin at the other end of conn,
// which the caller has connected, through TLS if there is any: a plugin of this
// very process behind [ServeListener], or one behind a tunnel. It owns conn
// from then on, and closes it on an error.
//
// It shakes hands like [Attach], and gives up when ctx ends or after
// config.DialTimeout. config.Reattach may be nil: it is looked at only for a
// peer's address in errors. A peer that does not know the handshake is an
// error, because there is no second connection to try it without.
func AttachConn(ctx context.Context, conn net.Conn, config *ClientConfig) (*Session, error) {
	cfg := config.withDefaults()
	if cfg.Reattach == nil {
		cfg.Reattach = &ReattachConfig{Addr: conn.RemoteAddr()}
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.DialTimeout)
	defer cancel()
	conn, info, err := shakeHands(ctx, conn, &cfg)
	if err != nil {
		return nil, fmt.Errorf("attach to plugin at %s: %w", cfg.Reattach.Addr, err)
	}
	session, err := newSession(cfg, conn, info)
	if err != nil {
		return nil, fmt.Errorf("attach to plugin at %s: %w", cfg.Reattach.Addr, err)
	}
	return session, nil
}
