# Reference numbers for marginal models of repeated outcomes, from geepack and ordinal.
#
# Run from this folder:  Rscript generate_longitudinal.R
# Writes inputs/ (data sets as CSV), numbers.csv (scenario, quantity, term, value with 17 digits), sessionInfo.txt and
# manifest.csv (sha256 of all of them). The tests read these files and need no R.

suppressPackageStartupMessages({
  library(geepack)
  library(ordinal)
  library(sandwich)
})
options(warn = 2)
RNGkind("Mersenne-Twister", "Inversion", "Rejection")
set.seed(20261122)
dir.create("inputs", showWarnings = FALSE)

numbers <- list()
record <- function(scenario, quantity, values, terms = names(values)) {
  values <- unlist(values)
  numbers[[length(numbers) + 1]] <<- data.frame(scenario, quantity, term = if (is.null(terms)) "" else terms,
                                                value = as.numeric(values))
}
record_matrix <- function(scenario, quantity, V, names) { # lower triangle
  lower <- lower.tri(V, diag = TRUE)
  record(scenario, quantity, V[lower], outer(names, names, paste, sep = "||")[lower])
}

# ---- inputs -------------------------------------------------------------------------------------------------------
data(ohio); data(respiratory); data(respdis); data(wine)
names(respiratory)[1] <- "centre"
respiratory$id <- respiratory$centre * 1000 + respiratory$id
respiratory$w <- round(0.5 + (respiratory$age %% 7) / 5 + (respiratory$visit %% 3) / 4, 2)
respdis_long <- reshape(respdis, varying = paste0("y", 1:4), v.names = "y", timevar = "visit", direction = "long")
respdis_long <- respdis_long[order(respdis_long$id, respdis_long$visit), c("id", "visit", "trt", "y")]
wine_data <- transform(wine[c("rating", "temp", "contact", "judge")], rating = as.integer(as.character(rating)),
                       judge = as.integer(as.character(judge)))

subjects <- 60
months <- c(6, 12, 24, 36, 60)
visits <- do.call(rbind, lapply(seq_len(subjects), function(i) {
  seen <- if (i <= 8) rep(TRUE, 5) else runif(5) < c(.9, .8, .75, .65, .5)
  if (!any(seen)) seen[1] <- TRUE
  arm <- if (i %% 2) "a" else "b"
  age <- round(rnorm(1, 36, 10), 1)
  severity <- rnorm(1)
  noise <- as.numeric(arima.sim(list(ar = .5), 5, sd = .6))
  month <- months[seen]
  eta <- -.2 + .4 * (arm == "b") + .01 * month - .02 * (age - 36) + severity + noise[seen]
  u <- runif(length(month))
  data.frame(patient_id = sprintf("p%02d", i), arm, age_years = age, visit_month = month,
             response = ifelse(u < .55 * plogis(eta), "CR", ifelse(u < .8 * plogis(eta) + .1, "PR", "NR")),
             log_upcr = round(.8 - .012 * month - .3 * (arm == "b") + .3 * severity + .5 * noise[seen] +
                                rnorm(length(month), 0, .2), 3),
             infections = rpois(length(month), exp(-.6 + .25 * severity + .2 * (arm == "b"))),
             log_years = round(log(runif(length(month), .5, 1.5)), 4),
             w = round(exp(rnorm(length(month), 0, .4)), 3))
}))
inputs <- list(ohio = ohio, respiratory = respiratory, respdis = respdis_long, wine = wine_data, visits = visits)
for (name in names(inputs)) write.csv(inputs[[name]], file.path("inputs", paste0(name, ".csv")), row.names = FALSE,
                                      quote = FALSE, eol = "\n")
visits <- read.csv("inputs/visits.csv")
visits$id <- as.integer(factor(visits$patient_id))
visits$complete <- as.integer(visits$response == "CR")

# ---- generalised estimating equations -----------------------------------------------------------------------------
control <- geese.control(epsilon = 1e-13, maxit = 5000)
gee <- function(scenario, formula, data, family, structure, waves, weights = NULL) {
  data$.waves <- waves
  data$.w <- if (is.null(weights)) rep(1, nrow(data)) else weights
  if (structure == "unstructured") {
    # With gaps in waves the built-in structure of geepack 1.3.9 crashes, and with subjects of one row its user-defined
    # one: the pairs are spelt out, and such subjects left out of this structure.
    data <- data[data$id %in% names(which(table(data$id) > 1)), ]
    structure <- "userdefined"
    data$id <- as.integer(factor(data$id))
    zcor <- genZcor(as.vector(table(data$id)), as.integer(factor(data$.waves)), corstrv = 4)
    data$.waves <- NULL
    fit <- suppressWarnings(geeglm(formula, id = id, data = data, family = family, corstr = structure, zcor = zcor,
                                   weights = .w, control = control))
  } else {
    # The fit of glm that starts it warns of weights that are not whole.
    fit <- suppressWarnings(geeglm(formula, id = id, data = data, family = family, corstr = structure,
                                   waves = .waves, weights = .w, control = control))
  }
  stopifnot(fit$geese$error == 0)
  names <- names(coef(fit))
  record(scenario, "coefficient", coef(fit))
  record_matrix(scenario, "robust", fit$geese$vbeta, names)
  record_matrix(scenario, "model", fit$geese$vbeta.naiv, names)
  record(scenario, "scale", fit$geese$gamma, "")
  if (structure != "independence") record(scenario, "alpha", fit$geese$alpha, seq_along(fit$geese$alpha))
  invisible(fit)
}
structures <- c("independence", "exchangeable", "ar1", "unstructured")
for (s in structures) {
  gee(paste0("ohio|", s), resp ~ age * smoke, ohio, binomial(), s, ohio$age)
  gee(paste0("respiratory|", s), outcome ~ factor(centre) + treat + sex + baseline + age, respiratory, binomial(), s,
      respiratory$visit)
  gee(paste0("respiratory_weighted|", s), outcome ~ factor(centre) + treat + sex + baseline + age, respiratory,
      binomial(), s, respiratory$visit, respiratory$w)
  gee(paste0("visits_gaussian|", s), log_upcr ~ arm * visit_month + age_years, visits, gaussian(), s,
      visits$visit_month)
  gee(paste0("visits_poisson|", s), infections ~ arm + age_years + offset(log_years), visits, poisson(), s,
      visits$visit_month)
  gee(paste0("visits_weighted|", s), complete ~ arm + visit_month + age_years, visits, binomial(), s,
      visits$visit_month, visits$w)
  fit <- gee(paste0("visits_binomial|", s), complete ~ arm * factor(visit_month) + age_years, visits, binomial(), s,
             visits$visit_month)
  # Wald test of the interaction, and standardised probabilities by the delta method (numerical gradient).
  V <- fit$geese$vbeta
  some <- grep(":", names(coef(fit)))
  record(paste0("visits_binomial|", s), "wald",
         drop(coef(fit)[some] %*% solve(V[some, some]) %*% coef(fit)[some]), "interaction")
  first <- visits[!duplicated(visits$id), ]
  if (s == "unstructured") first <- first[first$id %in% names(which(table(visits$id) > 1)), ]
  grid <- expand.grid(arm = c("a", "b"), visit_month = months, stringsAsFactors = FALSE)
  average <- function(b) apply(grid, 1, function(cell) {
    at <- transform(first, arm = factor(cell[["arm"]], c("a", "b")),
                    visit_month = factor(as.numeric(cell[["visit_month"]]), months))
    mean(plogis(model.matrix(~ arm * visit_month + age_years, at) %*% b))
  })
  gradient <- numDeriv::jacobian(average, coef(fit))
  cells <- paste(grid$arm, grid$visit_month)
  record(paste0("visits_binomial|", s), "standardised", average(coef(fit)), cells)
  record(paste0("visits_binomial|", s), "standardised_se", sqrt(diag(gradient %*% V %*% t(gradient))), cells)
  difference <- gradient[grid$arm == "b", ] - gradient[grid$arm == "a", ]
  record(paste0("visits_binomial|", s), "difference_se", sqrt(diag(difference %*% V %*% t(difference))), months)
}

# ---- cumulative logit ---------------------------------------------------------------------------------------------
exact <- clm.control(gradTol = 1e-12, relTol = 1e-14, maxIter = 200, convergence = "silent")
brant <- function(y, X, cluster) { # Wald test of equal slopes over binary models of y > cut, their scores clustered
  cuts <- sort(unique(y)); cuts <- cuts[-length(cuts)]
  fits <- lapply(cuts, function(k) glm(as.integer(y > k) ~ X, family = binomial(),
                                       control = list(epsilon = 1e-14, maxit = 100)))
  Z <- cbind(1, X); p <- ncol(Z)
  bread <- lapply(fits, function(f) solve(crossprod(Z * (fitted(f) * (1 - fitted(f))), Z)))
  influence <- do.call(cbind, lapply(seq_along(cuts), function(k)
    rowsum(Z * (as.integer(y > cuts[k]) - fitted(fits[[k]])), cluster) %*% bread[[k]]))
  robust <- crossprod(influence)
  slopes <- unlist(lapply(fits, function(f) coef(f)[-1]))
  keep <- unlist(lapply(seq_along(cuts), function(k) (k - 1) * p + 2:p))
  q <- p - 1
  statistic <- function(V, columns) {
    D <- do.call(rbind, lapply(2:length(cuts), function(k) {
      M <- matrix(0, length(columns), q * length(cuts))
      M[cbind(seq_along(columns), columns)] <- 1; M[cbind(seq_along(columns), (k - 1) * q + columns)] <- -1; M
    }))
    d <- D %*% slopes
    drop(t(d) %*% solve(D %*% V[keep, keep] %*% t(D)) %*% d)
  }
  c(sapply(1:q, function(j) statistic(robust, j)), statistic(robust, 1:q))
}
cumulative <- function(scenario, formula, data, outcome, cluster, weights = NULL) {
  data$.w <- if (is.null(weights)) rep(1, nrow(data)) else weights
  fit <- clm(formula, data = data, weights = .w, control = exact)
  names <- names(coef(fit))
  record(scenario, "coefficient", coef(fit))
  record_matrix(scenario, "model", vcov(fit), names)
  record(scenario, "log_likelihood", as.numeric(logLik(fit)), "")
  robust <- vcovCL(fit, cluster = cluster, type = "HC0", cadjust = FALSE)
  record_matrix(scenario, "robust", robust, names)
  if (is.null(weights)) {
    X <- model.matrix(formula, data)[, -1, drop = FALSE]
    record(scenario, "equal_slopes", brant(as.integer(outcome), X, cluster), c(colnames(X), "GLOBAL"))
  }
  invisible(fit)
}
wine$judge_number <- as.integer(wine$judge)
# Some cuts of wine separate its binary models, so that it has no test of equal slopes.
cumulative("wine", rating ~ temp + contact, wine, wine$rating, wine$judge_number, rep(1, nrow(wine)))
respdis_long$rating <- factor(respdis_long$y, ordered = TRUE)
cumulative("respdis", rating ~ trt + visit, respdis_long, respdis_long$rating, respdis_long$id)
visits$rating <- factor(visits$response, c("NR", "PR", "CR"), ordered = TRUE)
cumulative("visits_ordinal_weighted", rating ~ arm + visit_month + age_years, visits, visits$rating, visits$id, visits$w)
first <- visits[!duplicated(visits$id), ]
fit <- cumulative("visits_ordinal", rating ~ arm + factor(visit_month) + age_years, visits, visits$rating, visits$id)
V <- vcovCL(fit, cluster = visits$id, type = "HC0", cadjust = FALSE)
grid <- expand.grid(category = 1:3, arm = c("a", "b"), visit_month = months, stringsAsFactors = FALSE)
average <- function(b) apply(grid, 1, function(cell) {
  at <- transform(first, arm = factor(cell[["arm"]], c("a", "b")),
                  visit_month = factor(as.numeric(cell[["visit_month"]]), months))
  eta <- drop(model.matrix(~ arm + visit_month + age_years, at)[, -1] %*% b[-(1:2)])
  k <- as.integer(cell[["category"]])
  mean(plogis(c(-Inf, b[1:2], Inf)[k + 1] - eta) - plogis(c(-Inf, b[1:2], Inf)[k] - eta))
})
gradient <- numDeriv::jacobian(average, coef(fit))
cells <- paste(grid$arm, grid$visit_month, c("NR", "PR", "CR")[grid$category])
record("visits_ordinal", "standardised", average(coef(fit)), cells)
record("visits_ordinal", "standardised_se", sqrt(diag(gradient %*% V %*% t(gradient))), cells)
difference <- gradient[grid$arm == "b", ] - gradient[grid$arm == "a", ]
record("visits_ordinal", "difference_se", sqrt(diag(difference %*% V %*% t(difference))),
       with(grid[grid$arm == "b", ], paste(visit_month, c("NR", "PR", "CR")[category])))

numbers <- do.call(rbind, numbers)
numbers$value <- sprintf("%.17g", numbers$value)
write.csv(numbers, "numbers.csv", row.names = FALSE, quote = TRUE, eol = "\n")
writeLines(c(R.version.string, sapply(c("geepack", "ordinal", "sandwich", "numDeriv"),
                                      function(p) paste(p, packageVersion(p)))), "sessionInfo.txt")
files <- c("generate_longitudinal.R", file.path("inputs", paste0(names(inputs), ".csv")), "numbers.csv")
sums <- sub(" .*$", "", system2("sha256sum", files, stdout = TRUE))
write.csv(data.frame(file = files, sha256 = sums), "manifest.csv", row.names = FALSE, quote = FALSE, eol = "\n")
