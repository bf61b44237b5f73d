//go:build tools

// Package tools names metrics-server, so that go.mod and go.sum pin all that it is built from.
package tools

import _ "sigs.k8s.io/metrics-server/cmd/metrics-server"
