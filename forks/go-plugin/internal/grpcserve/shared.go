// SPDX-License-Identifier: MPL-2.0

package grpcserve

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	"github.com/hashicorp/go-plugin/internal/broker"
)

// sharedSessions are the sessions of a service that serves several hosts, because
// the plugin cannot register another time. Each has a connection, and is found by it.
type sharedSessions struct {
	group *broker.Group  // of their brokers
	front *broker.Broker // what the plugin was given

	mu       sync.Mutex
	sessions map[net.Addr]*Session // by remote address
}

// newSharedSessions returns no sessions yet. What the plugin serves on its broker has
// the options.
func newSharedSessions(logger hclog.Logger, options []grpc.ServerOption) *sharedSessions {
	s := &sharedSessions{group: broker.NewGroup(), sessions: map[net.Addr]*Session{}}
	cfg := broker.Config{Logger: logger.Named("broker"), ServerOptions: options}
	s.front = s.group.Broker(context.Background(), cfg, s.callee)
	return s
}

// add gives the connection of a session a name, and keeps the session under it.
func (s *sharedSessions) add(session *Session) {
	session.conn.remote = ownAddr(session.conn.RemoteAddr())
	s.name(session.conn.remote, session)
}

// name keeps a session under an address that no other connection has.
func (s *sharedSessions) name(addr net.Addr, session *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[addr] = session
}

// forget drops one name of a session.
func (s *sharedSessions) forget(addr net.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, addr)
}

// all returns the sessions.
func (s *sharedSessions) all() []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.allLocked()
}

func (s *sharedSessions) allLocked() (all []*Session) {
	for _, session := range s.sessions {
		if !slices.Contains(all, session) {
			all = append(all, session)
		}
	}
	return all
}

// remove forgets a session. What the plugin has accepted for the hosts that have
// left is closed with the last of them: nobody else was told of it.
func (s *sharedSessions) remove(session *Session) {
	s.mu.Lock()
	maps.DeleteFunc(s.sessions, func(_ net.Addr, named *Session) bool { return named == session })
	alone := len(s.sessions) == 0
	s.mu.Unlock()
	if alone {
		s.group.CloseAccepted()
	}
}

func (s *sharedSessions) close() {
	s.mu.Lock()
	sessions := s.sessions
	s.sessions = map[net.Addr]*Session{}
	s.mu.Unlock()
	for _, session := range sessions {
		session.close()
	}
	s.front.Close()
}

func (s *sharedSessions) find(ctx context.Context) *Session {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	switch p.Addr.(type) {
	case *net.TCPAddr, *net.UnixAddr, *wrappedAddr:
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.sessions[p.Addr]
	}
	return nil
}

// callee returns the broker of the host that the plugin calls back. The plugin has
// one broker for all of them, and an id does not say whose it is. So it is the only
// host's, or the only one's whose calls are being run; a guess might call a host
// with what was meant for another.
func (s *sharedSessions) callee() (*broker.Broker, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var busy *Session
	calling := 0
	sessions := s.allLocked()
	for _, session := range sessions {
		if len(sessions) == 1 {
			return session.broker, nil
		}
		if session.calls.Count() > 0 {
			busy = session
			calling++
		}
	}
	switch {
	case calling == 1:
		return busy.broker, nil
	case len(sessions) == 0:
		return nil, errors.New("no host is attached that could be called back")
	}
	return nil, fmt.Errorf("%d hosts share this plugin's only gRPC server, because it cannot be made or registered with "+
		"another time, and %d of them have calls under way: it cannot be told which of them the id belongs to",
		len(sessions), calling)
}

// ownAddr returns addr as a pointer that no other connection has, so that it can
// name this one. Plugins look for the two types of package net.
func ownAddr(addr net.Addr) net.Addr {
	switch a := addr.(type) {
	case *net.TCPAddr:
		own := *a
		return &own
	case *net.UnixAddr:
		own := *a
		return &own
	}
	return &wrappedAddr{addr}
}

type wrappedAddr struct{ net.Addr }
