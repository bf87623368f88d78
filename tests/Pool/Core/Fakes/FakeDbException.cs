using System.Data.Common;

using UPool.Core;

namespace UPool.Tests.Fakes;

/// <summary>What the fake driver throws. Its words hold a secret, as a careless driver's might.</summary>
internal sealed class FakeDbException(DriverFailure kind, string what)
    : DbException($"{what} (password={FakeConnector.Secret})")
{
    public DriverFailure Kind => kind;
}
