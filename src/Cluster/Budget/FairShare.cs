namespace UPool.Cluster.Budget;

/// <summary>One claim to a share.</summary>
/// <param name="Least">The part it gets first, if there is enough.</param>
/// <param name="Most">The most it gets; not below <paramref name="Least"/>.</param>
/// <param name="Weight">Its weight, from 1.</param>
/// <param name="Has">The permits it has: among equal claims, one that already has the next permit keeps it.</param>
internal readonly record struct Claim(int Least, int Most, int Weight, int Has);

/// <summary>
/// Max-min fair shares in whole permits, by progressive filling: the levels (share by weight) of all claims rise
/// together, from each one's least to its most, until nothing is left. (D. Bertsekas, R. Gallager, Data Networks,
/// 6.5.2.)
/// </summary>
internal static class FairShare
{
    // Halvings of the interval that contains the level: the rest is far below one permit for any weight.
    private const int Halvings = 60;

    /// <summary>Fills <paramref name="shares"/>. Their sum never exceeds <paramref name="total"/>, and is below it only
    /// if every claim gets its most.</summary>
    public static void Fill(ReadOnlySpan<Claim> claims, int total, Span<int> shares)
    {
        long least = 0, most = 0;
        foreach (Claim claim in claims)
        {
            least += claim.Least;
            most += claim.Most;
        }

        if (most <= total)
        {
            for (int at = 0; at < claims.Length; at++) shares[at] = claims[at].Most;
            return;
        }

        // Not enough for every Least: then each Least is an upper bound, and the total is shared below it.
        bool isShort = least > total;
        double level = Level(claims, Math.Max(0, total), isShort);
        long given = 0;
        for (int at = 0; at < claims.Length; at++)
        {
            shares[at] = At(claims[at], level, isShort);
            given += shares[at];
        }

        if (given < total) GiveRest(claims, (int)(total - given), shares, isShort);
    }

    /// <summary>The highest level whose whole permits fit into the total.</summary>
    private static double Level(ReadOnlySpan<Claim> claims, int total, bool isShort)
    {
        double low = 0, high = 1;
        foreach (Claim claim in claims) high = Math.Max(high, Most(claim, isShort) + 1.0);
        for (int halving = 0; halving < Halvings && high - low > 1e-9; halving++)
        {
            double middle = (low + high) / 2;
            long sum = 0;
            foreach (Claim claim in claims) sum += At(claim, middle, isShort);
            if (sum <= total) low = middle;
            else high = middle;
        }

        return low;
    }

    /// <summary>Gives one permit each to the claims whose level stays the lowest with it. Equal claims: first those
    /// that already have the permit, or two that saturate an odd number would pass the odd one back and
    /// forth.</summary>
    private static void GiveRest(ReadOnlySpan<Claim> claims, int rest, Span<int> shares, bool isShort)
    {
        var next = new List<(double Level, bool Lacks, int At)>();
        for (int at = 0; at < claims.Length; at++)
        {
            if (shares[at] >= Most(claims[at], isShort)) continue;

            next.Add(((shares[at] + 1.0) / claims[at].Weight, claims[at].Has <= shares[at], at));
        }

        next.Sort();
        for (int given = 0; given < rest && given < next.Count; given++) shares[next[given].At]++;
    }

    private static int At(Claim claim, double level, bool isShort) =>
        (int)Math.Clamp(level * claim.Weight, isShort ? 0 : claim.Least, Most(claim, isShort));

    private static int Most(Claim claim, bool isShort) => isShort ? claim.Least : claim.Most;
}
