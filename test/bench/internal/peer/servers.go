// SPDX-License-Identifier: MPL-2.0

package peer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Servers are the processes that serve one subject. Its methods may be called from
// any goroutine.
type Servers struct {
	dir string
	lis net.Listener

	mu      sync.Mutex
	known   map[int]*server // by process
	others  []int           // processes of other programs
	started []*Server
}

func newServers() (*Servers, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	lis, err := net.Listen("unix", filepath.Join(dir, "control"))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s := &Servers{dir: dir, lis: lis, known: make(map[int]*server)}
	go s.accept()
	return s, nil
}

// Dir is a directory that is removed with the servers.
func (s *Servers) Dir() string { return s.dir }

// accept takes up servers until close.
func (s *Servers) accept() {
	for {
		conn, err := s.lis.Accept()
		if err != nil {
			return
		}
		one, err := meet(conn)
		if err != nil {
			_ = conn.Close()
			continue
		}
		s.mu.Lock()
		s.known[one.pid] = one
		err = one.out.Encode(question{})
		s.mu.Unlock()
		if err != nil {
			s.forget(one.pid)
		}
	}
}

func (s *Servers) forget(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.known[pid]; one != nil {
		_ = one.conn.Close()
		delete(s.known, pid)
	}
}

// Env is what the environment of a server must have that something else starts.
func (s *Servers) Env() []string { return []string{controlEnv + "=" + s.lis.Addr().String()} }

// Command is this program as a server, for something else to start.
func (s *Servers) Command(args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, append([]string{roleServe}, args...)...)
	cmd.Env = append(os.Environ(), s.Env()...)
	return cmd, nil
}

// Server is a process that Start started.
type Server struct {
	// Line is its first line on stdout.
	Line string

	all *Servers
	cmd *exec.Cmd
}

// Start starts a server of this program, and waits until it listens.
func (s *Servers) Start(env []string, args ...string) (*Server, error) {
	cmd, err := s.Command(args...)
	if err != nil {
		return nil, err
	}
	cmd.Env = append(cmd.Env, env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	one := &Server{all: s, cmd: cmd}
	s.mu.Lock()
	s.started = append(s.started, one)
	s.mu.Unlock()
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("server %s did not say where it listens: %w", strings.Join(args, " "), err), one.Kill())
	}
	one.Line = strings.TrimSpace(line)
	go func() { _, _ = io.Copy(io.Discard, lines) }() // until the server ends
	return one, nil
}

// PID is the server's process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Strike sends SIGKILL to the server and waits for nothing.
func (s *Server) Strike() error { return s.cmd.Process.Kill() }

// Kill ends the server as the kernel does, and waits until it has ended.
func (s *Server) Kill() error {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	return s.kill()
}

func (s *Server) kill() error {
	if s.cmd.ProcessState != nil {
		return nil
	}
	if err := s.cmd.Process.Kill(); err != nil {
		return err
	}
	_ = s.cmd.Wait() // it was killed, and says so
	if one := s.all.known[s.PID()]; one != nil {
		_ = one.conn.Close()
		delete(s.all.known, s.PID())
	}
	return nil
}

// Count has the processor time of another program's process, which cannot report, counted
// among that of the servers, for as long as it lives.
func (s *Servers) Count(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.others = append(s.others, pid)
}

// Usage is what all servers that live use together. Those that have ended are
// forgotten.
func (s *Servers) Usage(memory bool) Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all Usage
	for pid, one := range s.known {
		u, err := one.ask(question{Memory: memory})
		if err != nil {
			_ = one.conn.Close()
			delete(s.known, pid)
			continue
		}
		all.add(u)
	}
	s.others = slices.DeleteFunc(s.others, func(pid int) bool {
		used, err := cpuOf(pid)
		all.CPU += used
		return err != nil
	})
	return all
}

// close ends all servers, also those that something else started and left.
func (s *Servers) close() error {
	err := s.lis.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.started {
		err = errors.Join(err, one.kill())
	}
	for _, one := range s.known {
		_ = one.conn.Close()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
