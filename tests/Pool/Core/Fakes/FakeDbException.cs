using System.Data.Common;

using UPool.Core;

namespace UPool.Tests.Fakes;

/// <summary>The fake driver's exception. Its message contains a secret, as a careless driver's might.</summary>
internal sealed class FakeDbException(DriverFailure kind, string what)
    : DbException($"{what} (password={FakeConnector.Secret})")
{
    public DriverFailure Kind => kind;
}
