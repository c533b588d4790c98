// SPDX-License-Identifier: MPL-2.0

package peer

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
)

// controlEnv names the socket at which a server reports.
const controlEnv = "BENCH_CONTROL"

// question is what a server is asked: what it uses, and with Memory what it holds.
type question struct {
	Memory bool `json:"memory"`
}

// obey reports to the process that drives, and answers its questions from now on. It
// returns once that process knows of this one.
func obey(path string) error {
	if path == "" {
		return errors.New(controlEnv + " is not set: only the drive role starts servers")
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	in, out := json.NewDecoder(conn), json.NewEncoder(conn)
	var welcome question
	if err := errors.Join(out.Encode(os.Getpid()), in.Decode(&welcome)); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	go func() {
		for {
			var q question
			if in.Decode(&q) != nil || out.Encode(usage(q.Memory)) != nil {
				os.Exit(0) // nobody measures any more
			}
		}
	}()
	return nil
}

// server is one that reported.
type server struct {
	conn net.Conn
	in   *json.Decoder
	out  *json.Encoder
	pid  int
}

// meet takes up a connection of obey.
func meet(conn net.Conn) (*server, error) {
	s := &server{conn: conn, in: json.NewDecoder(conn), out: json.NewEncoder(conn)}
	if err := s.in.Decode(&s.pid); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *server) ask(q question) (Usage, error) {
	var u Usage
	if err := s.out.Encode(q); err != nil {
		return u, err
	}
	err := s.in.Decode(&u)
	return u, err
}
