# Makes the inputs, reference numbers and session record that test_comparison_reference.py reads.
# Run from this folder: Rscript generate_comparison.R
suppressPackageStartupMessages({library(survival); library(survey)})
options(digits = 17, scipen = 0)
dir.create("inputs", showWarnings = FALSE)
tight <- list(epsilon = 1e-14, maxit = 100)

write_input <- function(name, frame) {
  for (column in names(frame)) if (is.numeric(frame[[column]])) frame[[column]] <- sprintf("%.17g", frame[[column]])
  write.csv(frame, file.path("inputs", paste0(name, ".csv")), row.names = FALSE, quote = FALSE, eol = "\n")
}
data(lalonde, package = "MatchIt")
lal <- with(lalonde, data.frame(patient_id = rownames(lalonde), treat, age, educ, black = as.integer(race == "black"),
                                married, nodegree, re74 = re74 / 1000, success = as.integer(re78 > 6000)))
rot <- rotterdam[seq(1, nrow(rotterdam), by = 3), ]
rot <- with(rot, data.frame(patient_id = paste0("r", pid), hormon, age, nodes, grade = as.integer(grade == 3),
                            meno, years = rtime / 365.25, event = recur))
rot$years <- round(rot$years, 2)                     # ties, as days of visits give
lun <- na.omit(data.frame(patient_id = paste0("l", seq_len(nrow(lung))), arm = as.integer(lung$sex == 2),
                          age = lung$age, ecog = lung$ph.ecog, time = lung$time, status = lung$status - 1))
formulas <- list(lalonde = treat ~ age + educ + black + married + nodegree + re74,
                 rotterdam = hormon ~ age + nodes + grade, lung = arm ~ age + ecog)
frames <- list(lalonde = lal, rotterdam = rot, lung = lun)
for (name in names(frames)) {
  fit <- glm(formulas[[name]], binomial, frames[[name]], control = tight)
  e <- fitted(fit); a <- frames[[name]][[all.vars(formulas[[name]])[1]]]
  frames[[name]]$score <- e
  frames[[name]]$w_ate <- ifelse(a == 1, 1 / e, 1 / (1 - e))
  frames[[name]]$w_ato <- ifelse(a == 1, 1 - e, e)
  write_input(name, frames[[name]])
}
lal <- frames$lalonde; rot <- frames$rotterdam; lun <- frames$lung

rows <- list()
record <- function(scenario, quantity, value, group = "", time = NA) {
  value <- as.numeric(value)
  rows[[length(rows) + 1]] <<- data.frame(scenario, quantity, group, time, value)
}

# Risk difference, ratio and odds ratio by design-based regression on the arm. svyglm carries the factor n / (n - 1),
# which is taken off; the HC0 sandwich is what is left.
for (w in c("w_ate", "w_ato")) {
  design <- svydesign(ids = ~1, weights = lal[[w]], data = lal)
  n <- nrow(lal)
  for (scale in c("difference", "ratio", "odds")) {
    family <- switch(scale, difference = gaussian(), ratio = quasibinomial("log"), odds = quasibinomial("logit"))
    p <- weighted.mean(lal$success, lal[[w]])
    start <- switch(scale, difference = NULL, ratio = c(log(p), 0), odds = NULL)
    fit <- svyglm(success ~ treat, design, family = family, start = start, control = tight)
    record(paste0("rates_", w), scale, coef(fit)[2])
    record(paste0("rates_", w), paste0(scale, ".se"), sqrt(vcov(fit)[2, 2] * (n - 1) / n))
  }
}

# g-computation by averaging predictions; its variance by stacked estimating equations, written out
stack <- function(psi, theta) {                      # sandwich of sum_i psi_i(theta) = 0; central differences
  n <- nrow(psi(theta)); k <- length(theta)
  A <- sapply(seq_len(k), function(j) {
    h <- 1e-5 * max(1, abs(theta[j])); d <- replace(numeric(k), j, h)
    (8 * (colSums(psi(theta + d)) - colSums(psi(theta - d))) -
       (colSums(psi(theta + 2 * d)) - colSums(psi(theta - 2 * d)))) / (12 * h)
  })
  B <- crossprod(psi(theta)); inv <- solve(A)
  inv %*% B %*% t(inv)
}
X <- model.matrix(~ age + educ + black + married + nodegree + re74, lal)
a <- lal$treat; y <- lal$success; n <- length(y); p <- ncol(X)
outcome <- glm(success ~ age + educ + black + married + nodegree + re74 + treat, binomial, lal, control = tight)
score <- glm(formulas$lalonde, binomial, lal, control = tight)
for (estimand in c("ATE", "ATT", "ATC")) {
  target <- switch(estimand, ATE = rep(1, n), ATT = a, ATC = 1 - a)
  mu <- sapply(1:0, function(k) weighted.mean(predict(outcome, transform(lal, treat = k), "response"), target))
  psi <- function(theta) {
    b <- theta[1:(p + 1)]; m <- theta[(p + 2):(p + 3)]
    cbind(cbind(X, a) * (y - plogis(drop(cbind(X, a) %*% b))),
          target * (plogis(drop(cbind(X, 1) %*% b)) - m[1]), target * (plogis(drop(cbind(X, 0) %*% b)) - m[2]))
  }
  v <- stack(psi, c(coef(outcome), mu))[p + 2:3, p + 2:3]
  record(paste0("gcomp_", estimand), "risk", mu, c("1", "0"))
  record(paste0("gcomp_", estimand), "risk.se", sqrt(diag(v)), c("1", "0"))
  record(paste0("gcomp_", estimand), "difference.se", sqrt(v[1, 1] + v[2, 2] - 2 * v[1, 2]))
  g <- c(1 / mu[1], -1 / mu[2]); record(paste0("gcomp_", estimand), "ratio.se", sqrt(drop(g %*% v %*% g)))
}
# AIPW with an outcome model in each arm, stacked with the score
one <- glm(success ~ age + educ + black + married + nodegree + re74, binomial, lal[a == 1, ], control = tight)
zero <- glm(success ~ age + educ + black + married + nodegree + re74, binomial, lal[a == 0, ], control = tight)
for (estimand in c("ATE", "ATT", "ATC")) {
  target <- switch(estimand, ATE = rep(1, n), ATT = a, ATC = 1 - a)
  tilt <- function(e) switch(estimand, ATE = 1, ATT = e, ATC = 1 - e)
  corrected <- function(theta) {
    e <- plogis(drop(X %*% theta[1:p])); m1 <- plogis(drop(X %*% theta[p + 1:p])); m0 <- plogis(drop(X %*% theta[2 * p + 1:p]))
    cbind(target * m1 + a * tilt(e) / e * (y - m1), target * m0 + (1 - a) * tilt(e) / (1 - e) * (y - m0))
  }
  nuisance <- c(coef(score), coef(one), coef(zero))
  mu <- colSums(corrected(nuisance)) / sum(target)
  psi <- function(theta) {
    e <- plogis(drop(X %*% theta[1:p])); m1 <- plogis(drop(X %*% theta[p + 1:p])); m0 <- plogis(drop(X %*% theta[2 * p + 1:p]))
    m <- theta[3 * p + 1:2]
    cbind(X * (a - e), X * a * (y - m1), X * (1 - a) * (y - m0), corrected(theta) - outer(target, m))
  }
  v <- stack(psi, c(nuisance, mu))[3 * p + 1:2, 3 * p + 1:2]
  record(paste0("aipw_", estimand), "risk", mu, c("1", "0"))
  record(paste0("aipw_", estimand), "risk.se", sqrt(diag(v)), c("1", "0"))
  record(paste0("aipw_", estimand), "difference.se", sqrt(v[1, 1] + v[2, 2] - 2 * v[1, 2]))
  phi <- corrected(nuisance) - outer(target, mu)
  record(paste0("aipw_", estimand), "difference.influence", sqrt(sum((phi[, 1] - phi[, 2])^2)) / sum(target))
}

# Time to event with fixed weights
events <- list(rotterdam = list(d = transform(rot, a = hormon, t = years, s = event), tau = 6, times = c(2, 5)),
               lung = list(d = transform(lun, a = arm, t = time, s = status), tau = 400, times = c(200, 500)))
precise <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 100)
for (name in names(events)) for (w in c("w_ate", "w_ato")) {
  d <- events[[name]]$d; label <- paste(name, w, sep = "_"); d$w <- d[[w]]
  for (tie in c("efron", "breslow")) {
    fit <- coxph(Surv(t, s) ~ a, d, weights = w, ties = tie, robust = TRUE, control = precise)
    record(label, paste0("cox.", tie), coef(fit)); record(label, paste0("cox.", tie, ".se"), sqrt(diag(vcov(fit))))
  }
  # svycoxph carries n / (n - 1)
  fit <- svycoxph(Surv(t, s) ~ a, svydesign(ids = ~1, weights = ~w, data = d),
                  control = precise)
  record(label, "svycox", coef(fit)); record(label, "svycox.se", sqrt(vcov(fit)[1] * (nrow(d) - 1) / nrow(d)))
  null <- coxph(Surv(t, s) ~ a, d, weights = w, ties = "breslow", init = 0, control = coxph.control(iter.max = 0))
  r <- residuals(null, "score") * d$w
  record(label, "logrank", sum(r)^2 / sum(r^2))
  km <- survfit(Surv(t, s) ~ a, d, weights = w, robust = TRUE)
  s <- summary(km, times = events[[name]]$times)
  groups <- sub("^.*=", "", s$strata)
  record(label, "surv", s$surv, groups, s$time); record(label, "surv.se", s$std.err, groups, s$time)
  full <- summary(km, censored = TRUE)
  keep <- full$time %in% tail(unique(full$time[full$n.event > 0]), 40)
  record(label, "n.risk", full$n.risk[keep], sub("^.*=", "", full$strata)[keep], full$time[keep])
  for (g in 0:1) {
    one <- survfit(Surv(t, s) ~ 1, d[d$a == g, ], weights = w, robust = TRUE)
    area <- summary(one, rmean = events[[name]]$tau)$table
    record(label, "area", area[["rmean"]], as.character(g), events[[name]]$tau)
    # the standard error of summary() takes weights for numbers of patients: the infinitesimal jackknife instead
    influence <- residuals(one, times = events[[name]]$tau, type = "auc", weighted = TRUE)
    record(label, "area.se", sqrt(sum(influence^2)), as.character(g), events[[name]]$tau)
  }
}

# Weighted Cox with the score estimated: the whole chain differentiated by the case weight of each patient
chain <- function(d, formula, case) {
  d$case <- case
  e <- fitted(suppressWarnings(glm(formula, quasibinomial, d, weights = case, control = tight)))
  d$w <- case * ifelse(d$a == 1, 1 / e, 1 / (1 - e))
  fit <- coxph(Surv(t, s) ~ a, d, weights = w, ties = "efron", control = precise)
  one <- survfit(Surv(t, s) ~ a, d, weights = w)
  c(coef(fit), diff(summary(one, rmean = 400)$table[, "rmean"]), diff(summary(one, times = 200)$surv))
}
d <- transform(lun, a = arm, t = time, s = status)
influence <- t(sapply(seq_len(nrow(d)), function(i) {
  h <- 1e-3; up <- function(k) replace(rep(1, nrow(d)), i, 1 + k * h)
  (8 * (chain(d, formulas$lung, up(1)) - chain(d, formulas$lung, up(-1))) -
     (chain(d, formulas$lung, up(2)) - chain(d, formulas$lung, up(-2)))) / (12 * h)
}))
record("stacked_lung", c("cox", "area.difference", "surv.difference"), chain(d, formulas$lung, rep(1, nrow(d))))
record("stacked_lung", c("cox.se", "area.difference.se", "surv.difference.se"), sqrt(colSums(influence^2)))

numbers <- do.call(rbind, rows)
numbers$value <- sprintf("%.17g", numbers$value)
write.csv(numbers, "numbers.csv", row.names = FALSE, eol = "\n", na = "")
files <- file.path("inputs", paste0(names(frames), ".csv"))
sums <- sub(" .*", "", system2("sha256sum", files, stdout = TRUE))
write.csv(data.frame(file = files, sha256 = sums), "manifest.csv", row.names = FALSE, quote = FALSE, eol = "\n")
writeLines(capture.output(sessionInfo()), "sessionInfo.txt")
