package main

import "github.com/mmcloughlin/avo/reg"

// writeUpdates writes the solvers' steps, each once through memory.
func writeUpdates(c *code) {
	c.adam()
	c.momentum("momentum", false)
	c.momentum("nesterov", true)
}

func (c *code) adam() {
	c.routine("adam", "(weight, gradient, first, second *float32, n int, scale, penalty, keep, beta1, rest1, beta2, rest2, rate, root, epsilon float32)")
	scale, penalty, keep := c.everywhere("scale"), c.everywhere("penalty"), c.everywhere("keep")
	beta1, rest1, beta2, rest2 := c.everywhere("beta1"), c.everywhere("rest1"), c.everywhere("beta2"), c.everywhere("rest2")
	rate, root, epsilon := c.everywhere("rate"), c.everywhere("root"), c.everywhere("epsilon")
	weight, gradient := c.argument("weight"), c.argument("gradient")
	first, second := c.argument("first"), c.argument("second")
	c.eachVector(c.argument("n"), 2, []reg.GPVirtual{weight, gradient, first, second}, func(p part) {
		w, g, m, v := p.load(weight), p.load(gradient), p.load(first), p.load(second)
		c.VMULPS(scale, g, g)
		c.VFMADD231PS(w, penalty, g)
		c.VMULPS(beta1, m, m)
		c.VFMADD231PS(g, rest1, m)
		p.store(m, first)
		c.VMULPS(g, g, g)
		c.VMULPS(beta2, v, v)
		c.VFMADD231PS(g, rest2, v)
		p.store(v, second)
		c.VSQRTPS(v, v)
		c.VFMADD213PS(epsilon, root, v)
		c.VDIVPS(v, m, m)
		c.VMULPS(rate, m, m)
		c.VFMSUB213PS(m, keep, w)
		p.store(w, weight)
	})
	c.end()
}

func (c *code) momentum(name string, ahead bool) {
	c.routine(name, "(weight, gradient, velocity *float32, n int, scale, rate, momentum, penalty float32)")
	scale, rate, momentum, penalty := c.everywhere("scale"), c.everywhere("rate"), c.everywhere("momentum"), c.everywhere("penalty")
	weight, gradient, velocity := c.argument("weight"), c.argument("gradient"), c.argument("velocity")
	c.eachVector(c.argument("n"), 4, []reg.GPVirtual{weight, gradient, velocity}, func(p part) {
		w, descent, v := p.load(weight), p.load(gradient), p.load(velocity)
		c.VMULPS(scale, descent, descent)
		c.VFMADD231PS(w, penalty, descent)
		c.VMULPS(rate, descent, descent)
		c.VFMSUB213PS(descent, momentum, v)
		p.store(v, velocity)
		if ahead {
			c.VFMSUB213PS(descent, momentum, v)
		}
		c.VADDPS(v, w, w)
		p.store(w, weight)
	})
	c.end()
}
