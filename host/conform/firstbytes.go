// SPDX-License-Identifier: MPL-2.0

package conform

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

const networkSection = "4. Network mode"

// strangers is how many connections a case leaves unfinished.
const strangers = 50

func firstBytesCases() []testCase {
	return []testCase{
		{"F01", networkSection, "connections that end before their first byte, as of a TCP probe, harm nobody", func(ctx context.Context, s *subject) error {
			for range strangers {
				if conn, err := s.connect(ctx); err == nil {
					_ = conn.Close()
				}
			}
			return s.serves(ctx)
		}},
		{"F02", networkSection, "connections that say nothing, or break off within the hello, keep nobody waiting", func(ctx context.Context, s *subject) error {
			for i := range strangers {
				conn, err := s.dial(ctx)
				if err != nil {
					return err
				}
				defer conn.Close()
				_, _ = io.WriteString(conn, "go-plugin/1 {"[:i%10])
			}
			return s.serves(ctx)
		}},
		{"F03", networkSection, "what begins as nothing that is known gets one refusal, malformed, and the end", shakes(func(ctx context.Context, s *subject) error {
			_, err := s.refused(ctx, []byte("GET / HTTP/1.1\r\n\r\n"), "malformed")
			return err
		})},
		{"F04", networkSection, "plain text to a TLS port, and TLS to a plain one, are answered by a TLS alert", checkAlert},
		{"F05", "6. Peers without the handshake", "a gRPC client without the handshake is served", func(ctx context.Context, s *subject) error {
			return s.serves(ctx)
		}},
	}
}

// serves asks for the health as any gRPC client does, without the handshake. Any answer
// of a gRPC server will do.
func (s *subject) serves(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	creds := insecure.NewCredentials()
	if s.TLS != nil {
		creds = credentials.NewTLS(s.TLS)
	}
	dialer := func(ctx context.Context, _ string) (net.Conn, error) { return s.connect(ctx) }
	conn, err := grpc.NewClient("passthrough:///"+s.authority(), grpc.WithTransportCredentials(creds), grpc.WithContextDialer(dialer))
	if err != nil {
		return err
	}
	defer conn.Close()
	return answers(ctx, conn, "")
}

// answers reports an error unless the health service answers, or is not there.
func answers(ctx context.Context, conn grpc.ClientConnInterface, name string) error {
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: name})
	switch status.Code(err) {
	case codes.NotFound, codes.Unimplemented:
		return nil
	case codes.OK:
		if answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
			return wantf("SERVING", "%s", answer.GetStatus())
		}
		return nil
	}
	return err
}

// alertRecord is the content type of a TLS alert, and the major version of all records.
var alertRecord = [2]byte{0x15, 3}

func checkAlert(ctx context.Context, s *subject) error {
	if s.answer == nil {
		return notApplicable("the plugin does not answer a hello")
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(s.Timeout))
	first := s.line(s.ordinary())
	if s.TLS == nil {
		first = []byte{0x16, 3, 1, 0, 1, 1} // a handshake record that holds too little
	}
	if _, err := conn.Write(first); err != nil {
		return err
	}
	var head [2]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return fmt.Errorf("want a TLS alert: %w", err)
	}
	if head != alertRecord {
		return wantf("a TLS alert", "%+q", head[:])
	}
	return nil
}
