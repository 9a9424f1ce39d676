# Reference numbers for the non-survival estimators, from R's own implementations.
#
# Run from this folder:  Rscript generate_response.R
# Writes response/patients.csv and response/visits.csv (simulated inputs), response/numbers.csv (key, value with 17
# digits) and response/provenance.txt (session, md5 of script and inputs). The tests read these files and need no R.

suppressPackageStartupMessages({
  library(geepack)
  library(sandwich)
})
options(warn = 2)
set.seed(20250601)
RNGkind("Mersenne-Twister", "Inversion", "Rejection")
folder <- "response"

numbers <- list()
keep <- function(key, values, names = NULL) {
  values <- unlist(values)
  if (length(values) > 1) key <- paste(key, if (is.null(names)) names(values) else names, sep = "|")
  numbers[[length(numbers) + 1]] <<- data.frame(key = key, value = sprintf("%.17g", as.numeric(values)))
}

# ---- inputs -------------------------------------------------------------------------------------------------------
n <- 150
age <- round(rnorm(n, 37, 11), 1)
class <- sample(c("III", "IV", "IV+V", "V"), n, TRUE, c(.2, .45, .15, .2))
upcr <- round(exp(rnorm(n, log(3), .5)), 2)
hypertension <- runif(n) < .4
arm <- ifelse(runif(n) < plogis(-.6 + .3 * (upcr - 3) + .8 * (class == "V") + .02 * (age - 37)),
              "tacrolimus", "no_tacrolimus")
severity <- rnorm(n)
patients <- data.frame(patient_id = sprintf("p%03d", 1:n), arm, age_years = age, isn_rps_class = class,
                       upcr_g_g = upcr, hypertension = ifelse(hypertension, "True", "False"))
months <- c(6, 12, 24, 36, 60)
visits <- do.call(rbind, lapply(1:n, function(i) {
  m <- months[seq_len(sample(2:5, 1))]
  eta <- -.3 + .5 * (arm[i] == "tacrolimus") + .015 * m - .25 * (upcr[i] - 3) + severity[i]
  u <- runif(length(m))
  data.frame(patient_id = patients$patient_id[i], arm = arm[i], age_years = age[i], isn_rps_class = class[i],
             upcr_baseline = upcr[i], visit_month = m,
             response = ifelse(u < .6 * plogis(eta), "CR", ifelse(u < plogis(eta), "PR", "NR")),
             upcr_g_g = round(exp(log(upcr[i]) - .01 * m - .3 * plogis(eta) + rnorm(length(m), 0, .3)), 2),
             infections = rpois(length(m), exp(-1 + .2 * severity[i] + .3 * (arm[i] == "tacrolimus"))))
}))
write.csv(patients, file.path(folder, "patients.csv"), row.names = FALSE, quote = FALSE)
write.csv(visits, file.path(folder, "visits.csv"), row.names = FALSE, quote = FALSE)
patients$hypertension <- hypertension

# ---- proportions --------------------------------------------------------------------------------------------------
for (cell in list(c(0, 9), c(1, 9), c(9, 9), c(40, 92), c(71, 87), c(5, 1200))) {
  for (level in c(.9, .95)) {
    interval <- suppressWarnings(prop.test(cell[1], cell[2], conf.level = level, correct = FALSE)$conf.int)
    keep(sprintf("wilson|%d|%d|%g", cell[1], cell[2], level), interval, c("low", "high"))
  }
}
wilson <- function(x, n) suppressWarnings(prop.test(x, n, correct = FALSE)$conf.int)
for (t in list(c(40, 92, 30, 87), c(71, 92, 55, 87), c(3, 10, 8, 11), c(0, 12, 4, 15), c(12, 12, 9, 14), c(8, 20, 4, 20))) {
  key <- paste(t, collapse = "|")
  x <- matrix(c(t[1], t[2] - t[1], t[3], t[4] - t[3]), 2, byrow = TRUE)
  one <- wilson(t[1], t[2]); zero <- wilson(t[3], t[4]); d <- t[1] / t[2] - t[3] / t[4]
  keep(paste0("newcombe|", key), c(d, d - sqrt((t[1] / t[2] - one[1])^2 + (zero[2] - t[3] / t[4])^2),
       d + sqrt((one[2] - t[1] / t[2])^2 + (t[3] / t[4] - zero[1])^2)), c("estimate", "low", "high"))
  test <- suppressWarnings(chisq.test(x, correct = FALSE))
  keep(paste0("chi_square|", key), c(test$statistic, test$p.value), c("statistic", "p"))
  keep(paste0("fisher|", key), fisher.test(x)$p.value)
  if (all(x > 0)) {
    g <- data.frame(y = c(t[1], t[3]), f = c(t[2] - t[1], t[4] - t[3]), z = c(1, 0))
    for (link in c("log", "logit")) {
      # vcov() belongs to the last but one step, so steps go on to rounding; glm then warns that it did not converge.
      start <- if (link == "log") c(log(t[3] / t[4]), 0)
      fit <- suppressWarnings(glm(cbind(y, f) ~ z, binomial(link), g, start = start,
                                  control = list(epsilon = 1e-15, maxit = 100)))
      s <- sqrt(diag(vcov(fit)))[2]; b <- coef(fit)[2]
      keep(paste0(if (link == "log") "risk_ratio|" else "odds_ratio|", key),
           c(exp(b), s, exp(b - qnorm(.975) * s), exp(b + qnorm(.975) * s)), c("estimate", "std_error", "low", "high"))
    }
  }
}
test <- suppressWarnings(chisq.test(table(patients$arm, patients$isn_rps_class)))
keep("baseline|isn_rps_class|difference_test", c(test$statistic, test$p.value), c("estimate", "p"))
test <- chisq.test(table(patients$arm, patients$hypertension), correct = FALSE)
keep("baseline|hypertension|difference_test", c(test$statistic, test$p.value), c("estimate", "p"))
one <- patients$age_years[arm == "tacrolimus"]; zero <- patients$age_years[arm != "tacrolimus"]
test <- t.test(one, zero)
keep("baseline|age_years|difference_test", c(test$statistic, test$p.value), c("estimate", "p"))
keep("baseline|age_years|tacrolimus", c(mean(one), sd(one), quantile(one, c(.5, .25, .75))),
     c("mean", "sd", "median", "q1", "q3"))

# ---- propensity score ---------------------------------------------------------------------------------------------
treated <- as.numeric(arm == "tacrolimus")
exact <- list(epsilon = 1e-13, maxit = 100)
score_model <- glm(treated ~ age_years + isn_rps_class + upcr_g_g, binomial, patients, control = exact)
keep("propensity|coefficient", coef(score_model))
keep("propensity|std_error", sqrt(diag(vcov(score_model))))
keep("propensity|log_likelihood", as.numeric(logLik(score_model)))
keep("propensity|score", fitted(score_model), patients$patient_id)

# ---- weighted rates: weights known (HC0), and score estimated (stacked estimating equations) -----------------------
at <- visits[visits$visit_month == 12, ]
row <- match(at$patient_id, patients$patient_id)
y <- as.numeric(at$response != "NR")
X <- model.matrix(score_model)
tilt <- list(ATE = function(e) 1 + 0 * e, ATT = function(e) e, ATC = function(e) 1 - e,
             ATO = function(e) e * (1 - e), ATM = function(e) pmin(e, 1 - e))
m_estimate <- function(psi, theta) { # psi: patients by parameters
  bread <- sapply(seq_along(theta), function(j) {
    h <- 1e-5 * max(1, abs(theta[j])); up <- down <- theta
    up[j] <- up[j] + h; down[j] <- down[j] - h
    (colSums(psi(up)) - colSums(psi(down))) / (2 * h)
  })
  inverse <- solve(bread)
  inverse %*% crossprod(psi(theta)) %*% t(inverse)
}
p <- ncol(X)
for (estimand in names(tilt)) {
  weight <- function(e) tilt[[estimand]](e) / ifelse(treated == 1, e, 1 - e)
  w <- weight(fitted(score_model))[row]
  z <- treated[row]
  fit <- lm(y ~ z, weights = w)
  V <- vcovHC(fit, type = "HC0")
  keep(paste0("weighted|", estimand, "|known"),
       c(sum(coef(fit)), coef(fit)[1], coef(fit)[2], sqrt(V[2, 2]), sqrt(sum(V)), sqrt(V[1, 1])),
       c("treated", "reference", "difference", "difference_se", "treated_se", "reference_se"))
  psi <- function(theta) {
    e <- plogis(drop(X %*% theta[1:p])); v <- weight(e)[row]
    out <- matrix(0, n, p + 2)
    out[, 1:p] <- X * (treated - e)
    out[row, p + 1] <- v * z * (y - theta[p + 1])
    out[row, p + 2] <- v * (1 - z) * (y - theta[p + 2])
    out
  }
  V <- m_estimate(psi, c(coef(score_model), sum(coef(fit)), coef(fit)[1]))[p + 1:2, p + 1:2]
  keep(paste0("weighted|", estimand, "|estimated"), sqrt(c(V[1, 1] + V[2, 2] - 2 * V[1, 2], V[1, 1], V[2, 2])),
       c("difference_se", "treated_se", "reference_se"))
}

# ---- generalised estimating equations -----------------------------------------------------------------------------
visits$responder <- as.numeric(visits$response != "NR")
visits$tac <- as.numeric(visits$arm == "tacrolimus")
visits$id <- as.integer(factor(visits$patient_id))
models <- list(binomial = responder ~ tac + visit_month + age_years, gaussian = upcr_g_g ~ tac + visit_month + age_years,
               poisson = infections ~ tac + visit_month + age_years)
for (family in names(models)) for (structure in c("independence", "exchangeable")) {
  fit <- geeglm(models[[family]], id = id, data = visits, family = get(family)(), corstr = structure,
                control = geese.control(epsilon = 1e-14, maxit = 1000))
  keep(sprintf("gee|%s|%s|coefficient", family, structure), coef(fit))
  keep(sprintf("gee|%s|%s|std_error", family, structure), sqrt(diag(fit$geese$vbeta)), names(coef(fit)))
  keep(sprintf("gee|%s|%s|scale", family, structure), fit$geese$gamma)
  if (structure == "exchangeable") keep(sprintf("gee|%s|exchangeable|alpha", family), fit$geese$alpha)
}

# ---- marginal standardised probabilities --------------------------------------------------------------------------
visits$cell <- factor(paste(visits$arm, visits$visit_month))
M <- cbind(model.matrix(~ 0 + cell, visits), visits$age_years, visits$upcr_baseline)
fit <- glm(visits$responder ~ 0 + M, family = binomial, control = exact)
k <- nlevels(visits$cell)
Z <- cbind(patients$age_years, patients$upcr_g_g)
prediction <- function(b) sapply(1:k, function(j) plogis(b[j] + Z %*% b[k + 1:2]))
psi <- function(theta) {
  b <- theta[1:(k + 2)]
  score <- rowsum(M * (visits$responder - plogis(drop(M %*% b))), visits$id)
  cbind(score, sweep(prediction(b), 2, theta[k + 2 + 1:k]))
}
b <- coef(fit)
mean_probability <- colMeans(prediction(b))
V <- m_estimate(psi, c(b, mean_probability))[k + 2 + 1:k, k + 2 + 1:k]
keep("marginal|estimate", mean_probability, levels(visits$cell))
keep("marginal|std_error", sqrt(diag(V)), levels(visits$cell))
for (m in months) {
  i <- match(paste("tacrolimus", m), levels(visits$cell)); j <- match(paste("no_tacrolimus", m), levels(visits$cell))
  keep(sprintf("marginal|difference|%d", m), c(mean_probability[i] - mean_probability[j],
       sqrt(V[i, i] + V[j, j] - 2 * V[i, j])), c("estimate", "std_error"))
}

write.csv(do.call(rbind, numbers), file.path(folder, "numbers.csv"), row.names = FALSE, quote = TRUE)
inputs <- c("generate_response.R", file.path(folder, c("patients.csv", "visits.csv", "numbers.csv")))
writeLines(c("md5 of script, inputs and numbers:", paste(tools::md5sum(inputs), inputs), "",
             grep("Running under|^locale|LC_|BLAS|LAPACK|Matrix products", capture.output(sessionInfo()),
                  value = TRUE, invert = TRUE)), file.path(folder, "provenance.txt"))
