using UPool.Cluster.Budget;

namespace UPool.Cluster.Tests.Budget;

/// <summary>Max-min fair shares in whole permits.</summary>
public sealed class FairShareTests
{
    [Fact]
    public void Fill_AnyClaims_IsWithinBoundsAndLeavesNothing()
    {
        var random = new Random((int)Seed.Next());
        for (int run = 0; run < 20_000; run++)
        {
            Claim[] claims = AnyClaims(random);
            int total = random.Next(0, 60);
            int[] shares = new int[claims.Length];

            FairShare.Fill(claims, total, shares);

            bool isShort = claims.Sum(static claim => claim.Least) > total;
            Assert.Equal(Math.Min(total, claims.Sum(static claim => claim.Most)), shares.Sum());
            for (int at = 0; at < claims.Length; at++)
            {
                Assert.InRange(
                    shares[at], isShort ? 0 : claims[at].Least, isShort ? claims[at].Least : claims[at].Most);
            }
        }
    }

    [Fact]
    public void Fill_AnyClaims_NobodyCouldHaveMoreWithoutOneWhoHasLess()
    {
        var random = new Random((int)Seed.Next());
        for (int run = 0; run < 20_000; run++)
        {
            Claim[] claims = AnyClaims(random);
            int total = claims.Sum(static claim => claim.Least) + random.Next(0, 30);
            int[] shares = new int[claims.Length];

            FairShare.Fill(claims, total, shares);

            // If a permit moved to a claim that would take it, that claim's new level would not be below the giver's
            // old one.
            for (int from = 0; from < claims.Length; from++)
            {
                if (shares[from] <= claims[from].Least) continue;
                for (int to = 0; to < claims.Length; to++)
                {
                    if (to == from || shares[to] >= claims[to].Most) continue;

                    Assert.True((shares[to] + 1.0) / claims[to].Weight >= (double)shares[from] / claims[from].Weight);
                }
            }
        }
    }

    [Fact]
    public void Fill_PermitsThatCannotBeHalved_StayWithWhoeverHasThem()
    {
        int[] shares = new int[3];

        FairShare.Fill([new(0, 9, 1, 3), new(0, 9, 1, 4), new(0, 9, 1, 4)], 11, shares);
        Assert.Equal([3, 4, 4], shares);

        FairShare.Fill([new(0, 9, 1, 4), new(0, 9, 1, 3), new(0, 9, 1, 4)], 11, shares);
        Assert.Equal([4, 3, 4], shares);
    }

    private static Claim[] AnyClaims(Random random)
    {
        var claims = new Claim[random.Next(1, 7)];
        for (int at = 0; at < claims.Length; at++)
        {
            int least = random.Next(0, 5);
            claims[at] = new Claim(least, least + random.Next(0, 15), random.Next(1, 4), random.Next(0, 15));
        }

        return claims;
    }
}
