// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package address

import "net"

func hold() (address string, release func(), err error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	return lis.Addr().String(), func() {}, lis.Close()
}
