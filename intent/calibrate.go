package intent

import (
	"cmp"
	"math"
	"slices"
)

// calibrator turns evidence into the confidence that the best class is right:
// a logistic regression on standardized evidence, bent so that a threshold on
// it keeps its promise without waste.
//
// A threshold of 0.9 on plain probabilities lets through nothing that is less
// than 0.9 sure, so that on the whole far more than nine in ten are right, and
// many good answers are held back. Above one half the confidence therefore
// leans, more the higher it is, towards what holds for everything at least as
// sure. It rises with the probability all the way: what is surer is stated to be.
type calibrator struct {
	weights evidence
	mean    evidence
	scale   evidence // reciprocal standard deviation
	stated  [curvePoints]float32
}

// curvePoints is the number of steps in which stated is kept: stated[i] is the
// confidence where the odds of the probability have the logarithm i × curveStep.
// They are finest where most answers are, near one.
const (
	curvePoints = 41
	curveStep   = 0.25
	leastRise   = 1e-4 // from one step to the next
)

// minAbove is how many predictions a point of the curve has to rest on.
const minAbove = 150

// sample is one prediction on a held-out question.
type sample struct {
	evidence evidence
	right    bool
	weight   float64
	fold     int
}

// Settings of the calibrator's training.
const (
	calibratorSteps = 25
	calibratorRidge = 1.0
	// unknownShare is the part of the calibrator's training weight that
	// unknown questions have, at least. It is on the high side of the share of
	// messages that no pack covers.
	unknownShare = 0.30
)

// confidence gives the calibrated confidence, 0 to 1.
func (k *calibrator) confidence(e *evidence) float32 {
	return k.bend(k.probability(e))
}

// probability gives the plain probability.
func (k *calibrator) probability(e *evidence) float32 {
	return float32(1 / (1 + math.Exp(-k.logit(e))))
}

// bend leans a probability above one half towards the curve.
func (k *calibrator) bend(p float32) float32 {
	if p <= 0.5 || k.stated[0] == 0 {
		return p
	}
	x := float32(math.Log(float64(p)/max(1-float64(p), 1e-9))) / curveStep
	i := min(int(x), curvePoints-2)
	part := min(x-float32(i), 1)
	return k.stated[i] + part*(k.stated[i+1]-k.stated[i])
}

// learnCurve fills the curve from predictions of calibrators that have not
// seen the samples they judge.
func (k *calibrator) learnCurve(samples []sample) {
	above := rightAbove(judgeSamples(samples))
	if above[0] == 0 {
		return // too few to tell
	}
	for i := range k.stated {
		p := float32(logistic(float64(i) * curveStep))
		lean := (p - 0.5) * 2
		k.stated[i] = p + lean*(above[i]-p)
		if i > 0 {
			k.stated[i] = max(k.stated[i], k.stated[i-1]+leastRise)
		}
		k.stated[i] = min(k.stated[i], 1-float32(curvePoints-1-i)*leastRise)
	}
}

// point is a sample with what another calibrator says of it.
type point struct {
	logit  float64
	weight float64
	right  bool
}

// judgeSamples has each fold judged by a calibrator that was trained on the others.
// The surest goes first.
func judgeSamples(samples []sample) []point {
	points := make([]point, 0, len(samples))
	for f := range ordinaryFolds {
		var train []sample
		for i := range samples {
			if samples[i].fold != f {
				train = append(train, samples[i])
			}
		}
		other := fitLogistic(train)
		for i := range samples {
			if s := &samples[i]; s.fold == f {
				points = append(points, point{logit: other.logit(&s.evidence), weight: s.weight, right: s.right})
			}
		}
	}
	slices.SortFunc(points, func(a, b point) int { return cmp.Compare(b.logit, a.logit) })
	return points
}

// rightAbove gives for each step of the curve the share of right ones among all
// points that are at least as sure; where there are too few, that of the step before.
func rightAbove(points []point) (above [curvePoints]float32) {
	all, right, at := 0.0, 0.0, 0
	for i := curvePoints - 1; i >= 0; i-- {
		for at < len(points) && points[at].logit >= float64(i)*curveStep {
			all += points[at].weight
			if points[at].right {
				right += points[at].weight
			}
			at++
		}
		if at >= minAbove {
			above[i] = float32(right / (all + 1)) // one more for doubt
		}
	}
	for i := 1; i < curvePoints; i++ {
		above[i] = max(above[i], above[i-1])
	}
	return above
}

func (k *calibrator) logit(e *evidence) float64 {
	z := 0.0
	for i := range e {
		z += k.weights[i] * k.standard(e, i)
	}
	return z
}

func (k *calibrator) standard(e *evidence, i int) float64 {
	if i == evConstant {
		return 1
	}
	return (e[i] - k.mean[i]) * k.scale[i]
}

// trainCalibrator fits probabilities and the curve that bends them.
func trainCalibrator(samples []sample) *calibrator {
	k := fitLogistic(samples)
	k.learnCurve(samples)
	return k
}

// fitLogistic fits by Newton's method with a ridge on all weights but the
// constant.
func fitLogistic(samples []sample) *calibrator {
	k := &calibrator{}
	k.standardize(samples)
	for range calibratorSteps {
		var gradient evidence
		hessian := make([]float64, evidenceSize*evidenceSize) // the lower half
		for i := range samples {
			k.accumulate(&samples[i], &gradient, hessian)
		}
		for i := range evidenceSize {
			ridge := calibratorRidge
			if i == evConstant {
				ridge = 1e-6
			}
			gradient[i] += ridge * k.weights[i]
			hessian[i*evidenceSize+i] += ridge
		}
		factor := factorize(hessian, evidenceSize)
		if factor == nil {
			break
		}
		step := gradient
		substitute(factor, step[:])
		largest := 0.0
		for i := range step {
			k.weights[i] -= step[i]
			largest = max(largest, math.Abs(step[i]))
		}
		if largest < 1e-6 {
			break
		}
	}
	return k
}

func (k *calibrator) accumulate(s *sample, gradient *evidence, hessian []float64) {
	var z evidence
	for i := range z {
		z[i] = k.standard(&s.evidence, i)
	}
	p := 1 / (1 + math.Exp(-k.logit(&s.evidence)))
	diff := p
	if s.right {
		diff = p - 1
	}
	curve := s.weight * max(p*(1-p), 1e-6)
	for i := range z {
		gradient[i] += s.weight * diff * z[i]
		for j := range i + 1 {
			hessian[i*evidenceSize+j] += curve * z[i] * z[j]
		}
	}
}

func (k *calibrator) standardize(samples []sample) {
	total := 0.0
	for i := range samples {
		total += samples[i].weight
		for j, v := range samples[i].evidence {
			k.mean[j] += samples[i].weight * v
		}
	}
	for j := range k.mean {
		k.mean[j] /= max(total, 1e-9)
	}
	for i := range samples {
		for j, v := range samples[i].evidence {
			k.scale[j] += samples[i].weight * (v - k.mean[j]) * (v - k.mean[j])
		}
	}
	for j := range k.scale {
		k.scale[j] = 1 / math.Sqrt(k.scale[j]/max(total, 1e-9)+1e-6)
	}
}
