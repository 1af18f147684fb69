module nsgate-examples

go 1.24

require github.com/nsgate/nsgate/go v0.0.0

replace github.com/nsgate/nsgate/go => ../../go
