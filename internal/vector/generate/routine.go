package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// routine is an assembly function with plain parameters, found in the table by
// its name.
type routine struct {
	name      string
	signature string // "(y, x *float32, n int)"
}

func (r routine) symbol(m *machine) string { return r.name + "_" + m.name }

// routine begins such a function. Its registers are virtual: avo finds the
// physical ones.
func (c *code) routine(name, signature string) {
	r := routine{name, signature}
	c.routines = append(c.routines, r)
	c.labels = 0
	c.Function(r.symbol(c.machine))
	c.Attributes(build.NOSPLIT)
	c.SignatureExpr("func" + signature)
}

// argument loads an integer or a pointer.
func (c *code) argument(name string) reg.GPVirtual {
	return c.Load(c.Param(name), c.GP64()).(reg.GPVirtual)
}

// inMemory is where an argument lies, for those there is no register for.
func (c *code) inMemory(name string) operand.Mem {
	b, err := c.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

// everywhere loads a float32 to all lanes.
func (c *code) everywhere(name string) reg.VecVirtual {
	v := c.any()
	c.VBROADCASTSS(c.inMemory(name), v)
	return v
}

// any returns a new vector.
func (c *code) any() reg.VecVirtual {
	if c.wide() {
		return c.ZMM()
	}
	return c.YMM()
}

// zeros returns a new vector of zeros.
func (c *code) zeros() reg.VecVirtual {
	v := c.any()
	c.zero(v)
	return v
}
