module nsgate.dev/benches

go 1.25.0

require (
	github.com/nsgate/nsgate/go v0.0.0
	golang.org/x/sys v0.38.0
)

replace github.com/nsgate/nsgate/go => ../../go
