// SPDX-License-Identifier: MPL-2.0

// Package services asks a plugin by gRPC's server reflection, which go-plugin's servers
// offer, which services and methods it has. Those of gRPC and go-plugin are left out. What
// a plugin says of itself is bounded.
package services

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc"
)

// Service is one of a server's.
type Service struct {
	Name    string // such as commons.Greeter
	Methods []Method
}

// Method is one of a service's.
type Method struct {
	Name string
	// Unary is true of a method that takes one message and answers one.
	Unary bool
}

// List asks for names alone. It takes as long as ctx allows. With an error some may be
// known.
func List(ctx context.Context, conn grpc.ClientConnInterface) ([]Service, error) {
	var found []Service
	err := reflect(ctx, conn, func(r *reflection, names []string) error {
		var errs []error
		for _, name := range names {
			methods, err := r.methods(name)
			found, errs = append(found, Service{name, methods}), append(errs, err)
		}
		return errors.Join(errs...)
	})
	return found, err
}

// methods asks for those of one service.
func (r *reflection) methods(service string) ([]Method, error) {
	files, err := r.declaring(service)
	if err != nil {
		return nil, err
	}
	var methods []Method
	for _, file := range files {
		for _, s := range file.GetService() {
			if strings.TrimPrefix(file.GetPackage()+"."+s.GetName(), ".") != service {
				continue
			}
			for _, m := range s.GetMethod() {
				methods = append(methods, Method{m.GetName(), !m.GetClientStreaming() && !m.GetServerStreaming()})
			}
		}
	}
	return methods, nil
}
