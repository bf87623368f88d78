namespace UPool.Cluster.Budget;

/// <summary>What a silo may do now, by its own clock. To be set in the pool at once, in both directions.</summary>
/// <param name="Grant">The grant; 0 before the first.</param>
/// <param name="Permits">The permits of the pool until <paramref name="End"/>.</param>
/// <param name="End">From here on nothing is rented, opened or taken into use, and what is idle is closed.</param>
/// <param name="CutOff">From here on nothing may be open: what is still used is cut off before.</param>
/// <param name="Status">How the newest request was answered.</param>
internal readonly record struct LeaseTerms(
    long Grant, int Permits, TimeSpan End, TimeSpan CutOff, LeaseStatus Status);
