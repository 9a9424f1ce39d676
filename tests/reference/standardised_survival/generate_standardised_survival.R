# Makes the reference numbers and session record that test_standardised_survival_reference.py reads.
# Run from this folder: Rscript generate_standardised_survival.R
suppressPackageStartupMessages(library(survival))
options(digits = 17, scipen = 0)
precise <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 100)
inputs <- file.path("..", "comparison", "inputs", c("lung.csv", "rotterdam.csv"))
lun <- with(read.csv(inputs[1]), data.frame(a = arm, age, ecog, t = ceiling(time / 14), s = status))   # ties
rot <- with(read.csv(inputs[2]), data.frame(a = hormon, age, nodes, grade, t = years, s = event))

rows <- list()
record <- function(scenario, quantity, value, group = "", time = NA)
  rows[[length(rows) + 1]] <<- data.frame(scenario, quantity, group, time, value = as.numeric(value))

model <- function(d, x, kind, case) {                # one fit, or one in each arm, the treated first
  formula <- function(more) as.formula(paste("Surv(t, s) ~", more, x))
  d$case <- case
  fitted <- function(f, rows)                        # model = TRUE: survfit then needs nothing of this function
    do.call(coxph, list(f, data = d[rows, ], weights = d$case[rows], ties = "efron", control = precise, model = TRUE))
  everybody <- rep(TRUE, nrow(d))
  switch(kind, stratum = list(fitted(formula("strata(a) +"), everybody))[c(1, 1)],
         term = list(fitted(formula("a +"), everybody))[c(1, 1)],
         separate = list(fitted(formula(""), d$a == 1), fitted(formula(""), d$a == 0)))
}
target <- function(d, estimand) switch(estimand, ATE = rep(1, nrow(d)), ATT = d$a, ATC = 1 - d$a)

area <- function(at, survival, tau) {                # under a step function, one column a patient
  used <- at <= tau
  drop(diff(c(0, at[used], tau)) %*% rbind(1, survival[used, , drop = FALSE]))
}
# survfit of the model for every patient with the arm set, averaged
by_newdata <- function(d, x, kind, estimand, times, tau) {
  fits <- model(d, x, kind, rep(1, nrow(d)))
  sapply(1:2, function(k) {
    each <- lapply(seq_len(nrow(d)), function(i) {
      curve <- survfit(fits[[k]], newdata = transform(d[i, ], a = 2 - k), se.fit = FALSE)
      c(summary(curve, times = times, extend = TRUE)$surv, area(curve$time, as.matrix(curve$surv), tau))
    })
    colSums(do.call(rbind, each) * target(d, estimand)) / sum(target(d, estimand))
  })
}
# The same from the cumulative hazard at covariates of zero, for case weights and therefore for derivatives
chain <- function(d, x, kind, estimand, times, tau, case) {
  fits <- model(d, x, kind, case)
  matrix <- model.matrix(as.formula(paste("~", x)), d)[, -1]
  share <- case * target(d, estimand)
  found <- sapply(1:2, function(k) {
    b <- coef(fits[[k]])
    lift <- drop(matrix %*% b[colnames(matrix)])
    zero <- d[1, ]; zero[setdiff(names(zero), c("t", "s"))] <- 0; zero$a <- 2 - k
    curve <- survfit(fits[[k]], newdata = zero, se.fit = FALSE)
    hazard <- drop(as.matrix(curve$cumhaz))
    average <- drop(exp(-outer(hazard, exp(lift))) %*% share) / sum(share)
    place <- findInterval(times, curve$time)
    c(c(1, average)[place + 1], area(curve$time, as.matrix(average), tau))
  })
  difference <- found[, 1] - found[, 2]
  at <- seq_along(times)
  c(found[, 1], found[, 2], difference, log((1 - found[at, 1]) / (1 - found[at, 2])))
}
derived <- function(d, ...) {
  moved <- t(sapply(seq_len(nrow(d)), function(i) {
    h <- 1e-3; up <- function(k) chain(d, ..., case = replace(rep(1, nrow(d)), i, 1 + k * h))
    (8 * (up(1) - up(-1)) - (up(2) - up(-2))) / (12 * h)
  }))
  sqrt(colSums(moved^2))
}

say <- function(scenario, d, x, kind, estimand, times, tau, errors) {
  average <- by_newdata(d, x, kind, estimand, times, tau)
  direct <- chain(d, x, kind, estimand, times, tau, rep(1, nrow(d)))
  stopifnot(all.equal(c(average), direct[seq_along(average)], tolerance = 1e-11))
  at <- c(times, tau); what <- c(rep("survival", length(times)), "restricted_mean")
  for (k in 1:2) for (j in seq_along(at)) record(scenario, what[j], average[j, k], 2 - k, at[j])
  if (!errors) return(invisible())
  se <- derived(d, x, kind, estimand, times, tau); m <- length(at)
  for (k in 1:2) for (j in seq_along(at)) record(scenario, paste0(what[j], ".se"), se[(k - 1) * m + j], 2 - k, at[j])
  for (j in seq_along(at)) record(scenario, paste0(what[j], "_difference.se"), se[2 * m + j], "", at[j])
  record(scenario, "risk_ratio.se", se[3 * m + seq_along(times)], "", times)
}
say("lung_stratum_ATE", lun, "age + ecog", "stratum", "ATE", c(10, 40), 50, TRUE)
say("lung_stratum_ATT", lun, "age + ecog", "stratum", "ATT", c(10, 40), 50, TRUE)
say("lung_term_ATC", lun, "age + ecog", "term", "ATC", c(10, 40), 50, TRUE)
say("lung_separate_ATE", lun, "age + ecog", "separate", "ATE", c(10, 40), 50, TRUE)
say("rotterdam_stratum_ATE", rot, "age + nodes + grade", "stratum", "ATE", c(2, 5), 6, FALSE)

numbers <- do.call(rbind, rows)
numbers$value <- sprintf("%.17g", numbers$value)
write.csv(numbers, "numbers.csv", row.names = FALSE, eol = "\n", na = "")
files <- c(inputs, "numbers.csv")
sums <- sub(" .*", "", system2("sha256sum", files, stdout = TRUE))
write.csv(data.frame(file = files, sha256 = sums), "manifest.csv", row.names = FALSE, quote = FALSE, eol = "\n")
writeLines(capture.output(sessionInfo()), "sessionInfo.txt")
