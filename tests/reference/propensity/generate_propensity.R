# Makes the inputs, reference numbers and session record that test_propensity_reference.py reads.
# Run from this folder: Rscript generate_propensity.R
suppressPackageStartupMessages({library(survival); library(MatchIt)})
options(digits = 17, scipen = 0, warn = 1)
dir.create("inputs", showWarnings = FALSE)

write_input <- function(name, frame) {
  for (column in names(frame)) if (is.numeric(frame[[column]])) frame[[column]] <- sprintf("%.17g", frame[[column]])
  write.csv(frame, file.path("inputs", paste0(name, ".csv")), row.names = FALSE, quote = FALSE, eol = "\n")
}
data("lalonde", package = "MatchIt")
people <- with(lalonde, data.frame(patient_id = row.names(lalonde), arm = ifelse(treat == 1, "trained", "untrained"),
                                   age, educ, race = as.character(race), married, nodegree, re74, re75))
women <- with(rotterdam[seq(1, nrow(rotterdam), by = 3), ], data.frame(
  patient_id = sprintf("p%04d", pid), arm = ifelse(hormon == 1, "hormone", "none"), age, year,
  size = gsub("[<=>]", "", as.character(size)), grade, nodes, er))
inputs <- list(lalonde = people, rotterdam = women)
for (name in names(inputs)) write_input(name, inputs[[name]])
formulas <- list(lalonde = ~ age + educ + race + married + nodegree + re74 + re75,
                 rotterdam = ~ age + year + size + grade + nodes + er)
treated <- list(lalonde = "trained", rotterdam = "hormone")
numeric <- list(lalonde = c("age", "educ", "re74", "re75", "married"), rotterdam = c("age", "year", "nodes", "er"))

rows <- list()
record <- function(scenario, quantity, value, term = "") {
  rows[[length(rows) + 1]] <<- data.frame(scenario, quantity, term = as.character(term), value = as.numeric(value))
}
for (name in names(inputs)) {
  frame <- inputs[[name]]
  t <- as.numeric(frame$arm == treated[[name]])
  fit <- glm(update(formulas[[name]], t ~ .), binomial, data.frame(frame, t),
             control = glm.control(epsilon = 1e-15, maxit = 100))
  # glm's covariance has the weights of the step before the last: start again at the solution
  fit <- glm(update(formulas[[name]], t ~ .), binomial, data.frame(frame, t), start = coef(fit),
             control = glm.control(epsilon = 1e-15, maxit = 100))
  record(name, "coefficient", coef(fit), names(coef(fit)))
  record(name, "std_error", sqrt(diag(vcov(fit))), names(coef(fit)))
  record(name, "log_likelihood", as.numeric(logLik(fit)))
  e <- fitted(fit)
  kept <- seq(1, nrow(frame), by = 7)
  record(name, "score", e[kept], frame$patient_id[kept])
  tilts <- list(ATE = 1 + 0 * e, ATT = e, ATC = 1 - e, ATO = e * (1 - e), ATM = pmin(e, 1 - e),
                ATEN = -e * log(e) - (1 - e) * log(1 - e))
  weights <- lapply(tilts, function(h) h / ifelse(t == 1, e, 1 - e))
  for (estimand in names(weights)) {
    w <- weights[[estimand]]
    record(name, paste0("weight_", estimand), w[kept], frame$patient_id[kept])
    for (arm in 1:0)
      record(name, paste0("ess_", estimand), sum(w[t == arm])^2 / sum(w[t == arm]^2), arm)
  }
  stable <- weights$ATE * ifelse(t == 1, mean(t), 1 - mean(t))
  record(name, "weight_stabilised", stable[kept], frame$patient_id[kept])
  for (arm in 1:0) {
    bounds <- quantile(weights$ATE[t == arm], c(0.01, 0.99), names = FALSE)
    record(name, "truncation_bound", bounds, paste0(arm, c("low", "high")))
  }
  for (column in numeric[[name]]) {
    x <- frame[[column]]
    s <- c(ATE = sqrt((var(x[t == 1]) + var(x[t == 0])) / 2), ATT = sd(x[t == 1]), ATC = sd(x[t == 0]))
    for (estimand in names(s)) {
      record(name, paste0("smd_unadjusted_", estimand), (mean(x[t == 1]) - mean(x[t == 0])) / s[[estimand]], column)
      w <- weights[[estimand]]
      record(name, paste0("smd_adjusted_", estimand),
             (weighted.mean(x[t == 1], w[t == 1]) - weighted.mean(x[t == 0], w[t == 0])) / s[[estimand]], column)
    }
    w <- weights$ATE
    v <- sapply(1:0, function(arm) cov.wt(matrix(x[t == arm]), w[t == arm] / sum(w[t == arm]))$cov[1, 1])
    record(name, "variance_ratio_unadjusted", var(x[t == 1]) / var(x[t == 0]), column)
    record(name, "variance_ratio_adjusted", v[1] / v[2], column)
    record(name, "ks_unadjusted", suppressWarnings(ks.test(x[t == 1], x[t == 0])$statistic), column)
    at <- sort(unique(x))
    distribution <- sapply(1:0, function(arm) sapply(at, function(a) sum(w[t == arm & x <= a]) / sum(w[t == arm])))
    record(name, "ks_adjusted", max(abs(distribution[, 1] - distribution[, 2])), column)
  }
}
numbers <- do.call(rbind, rows)
numbers$value <- sprintf("%.17g", numbers$value)
write.csv(numbers, "numbers.csv", row.names = FALSE, quote = FALSE, eol = "\n")
writeLines(c(R.version.string, paste("survival", packageVersion("survival")), paste("MatchIt", packageVersion("MatchIt"))),
           "sessionInfo.txt")
files <- c(file.path("inputs", list.files("inputs")), "numbers.csv")
sums <- sapply(files, function(file) sub(" .*", "", system2("sha256sum", file, stdout = TRUE)))
write.csv(data.frame(file = files, sha256 = sums), "manifest.csv", row.names = FALSE, quote = FALSE, eol = "\n")
