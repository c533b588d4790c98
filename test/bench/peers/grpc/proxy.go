// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"net"
	"path/filepath"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"

	"github.com/reattach/reattach/test/bench/internal/greet/greetpb"
	"github.com/reattach/reattach/test/bench/internal/peer"
)

// proxied has what a program costs that stands between a host and a plugin, made of grpc-go
// and of nothing else: TCP before it, and a unix socket behind it, as for basic expose.
func proxied(s *peer.Servers) (peer.Target, error) {
	server, err := s.Start(nil, "unix", filepath.Join(s.Dir(), "greeter"))
	if err != nil {
		return nil, err
	}
	between, err := s.Start(nil, "proxy", "unix:"+server.Line)
	if err != nil {
		return nil, err
	}
	return peer.AttachFunc(func() (peer.Session, error) { return attach(between.Line) }), nil
}

// proxy hands unary calls on, whose messages it does not decode.
func proxy(to string) error {
	conn, err := grpc.NewClient(to, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{}), grpc.MaxCallRecvMsgSize(greetpb.MaxMessage)))
	if err != nil {
		return err
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(raw{}), grpc.MaxRecvMsgSize(greetpb.MaxMessage),
		grpc.UnknownServiceHandler(func(_ any, in grpc.ServerStream) error {
			method, _ := grpc.MethodFromServerStream(in)
			var request, reply message
			if err := in.RecvMsg(&request); err != nil {
				return err
			}
			if err := conn.Invoke(in.Context(), method, &request, &reply); err != nil {
				return err
			}
			return in.SendMsg(&reply)
		}))
	fmt.Println(lis.Addr())
	return server.Serve(lis)
}

// message is one as it travels.
type message struct{ data mem.BufferSlice }

// raw is a codec that leaves messages as they are, and gives their buffers on.
type raw struct{}

// Name implements encoding.CodecV2.
func (raw) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (raw) Marshal(v any) (mem.BufferSlice, error) { return v.(*message).data, nil }

// Unmarshal implements encoding.CodecV2.
func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	data.Ref()
	v.(*message).data = data
	return nil
}
